"""`kubectl csr status` against the operator."""

import json
import re
import socket
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.cli.support import READER, Plugin, rule, user, wait_unready
from tests.support.authorities import opaque
from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.site import Site


@pytest.fixture(scope="module", autouse=True)
def requests(site: Site) -> None:
    """One request for each way to stand."""
    site.kubectl.apply(
        opaque("foreign-tls", key="value"),
        issuer("people", manual={}),
        issuer("keyless", ca={"secretName": "nothing"}),
        issuer("guarded", selfSigned={}, approval="Manual"),
        issuer("strict", selfSigned={}, policy={"rules": [{"name": "web", "dnsNames": {"suffixes": ["example.org"]}}]}),
    )
    site.kubectl.wait_ready("people", "guarded", "strict", kind="issuer")
    www = request("www", "ca", commonName="www.example.com", dnsNames=["www.example.com", "example.com"])
    www["metadata"]["labels"] = {"team": "web"}
    site.kubectl.apply(
        www,
        request("brought", "people"),
        request("lost", "nobody"),
        request("unready", "keyless"),
        request("undecided", "guarded"),
        request("denied", "strict"),
        request("foreign", "ca"),
    )
    site.kubectl.wait_ready("www", "root")
    for name, reason in (
        ("brought", "ActionRequired"),
        ("lost", "IssuerNotFound"),
        ("unready", "IssuerNotReady"),
        ("undecided", "ApprovalPending"),
        ("denied", "PolicyDenied"),
        ("foreign", "SecretNotOwned"),
    ):
        wait_unready(site.kubectl, reason, name)
        wait_until(f"there is an event of {name}", partial(site.warnings, name))


def test_all_of_a_namespace_those_in_trouble_first(kubectl_csr: Plugin) -> None:
    lines = kubectl_csr("status").out.splitlines()

    assert lines[0].split() == ["NAME", "READY", "REASON", "ISSUER", "EXPIRES", "RENEWAL", "MESSAGE"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert list(rows) == ["denied", "foreign", "brought", "lost", "undecided", "unready", "www", "root"]
    assert rows["denied"].split()[1:4] == ["False", "PolicyDenied", "strict"]
    assert rows["denied"].endswith('rule web: dnsNames: "denied.example.com" is not allowed')
    assert rows["www"].split()[1:5] == ["True", "Issued", "ca", "89d"]
    assert re.fullmatch("5[6-9]d", rows["www"].split()[5])  # a third before the end, or up to 3 days earlier


def test_all_as_json_and_yaml(csr: Plugin, site: Site) -> None:
    as_json, as_yaml = csr.json("status"), yaml.safe_load(csr("status", "-oyaml").out)

    assert as_json == as_yaml
    items = {item["name"]: item for item in as_json["items"]}
    assert [item["inTrouble"] for item in as_json["items"]] == [True] * 6 + [False] * 2
    assert items["www"] == {
        "namespace": site.kubectl.namespace,
        "name": "www",
        "ready": True,
        "inTrouble": False,
        "reason": "Issued",
        "message": f"valid until {site.status('www')['notAfter']}",
        "issuerRefs": [{"kind": "Issuer", "name": "ca"}],
        "secretName": "www-tls",
        "revision": 1,
        "notAfter": site.status("www")["notAfter"],
        "renewalTime": site.status("www")["renewalTime"],
    }
    assert items["lost"]["notAfter"] is None


def test_by_label_and_in_all_namespaces(csr: Plugin, site: Site) -> None:
    assert [item["name"] for item in csr.json("status", "-l", "team=web")["items"]] == ["www"]
    assert [item["name"] for item in csr.json("status", "-l", "team notin (web),team")["items"]] == []

    lines = csr("status", "-A").out.splitlines()
    assert lines[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert [site.kubectl.namespace, "www"] in [line.split()[:2] for line in lines]

    assert csr("status", "-n", "kube-public").out == "No certificate requests found in namespace kube-public.\n"


def test_one_that_is_well(kubectl_csr: Plugin, site: Site) -> None:
    status, words = site.status("www"), kubectl_csr("status", "www").words

    assert words.startswith(f"CertificateRequest {site.kubectl.namespace}/www: Ready, for ")
    for part in (
        "Names CN=www.example.com, DNS:www.example.com, DNS:example.com",
        "Key ECDSA 256, made anew with each certificate",
        f"Issuer {site.kubectl.namespace}/ca (ca): ready, signs as CN=Test Root",
        "www-tls belongs to this request and holds ca.crt, tls.crt, tls.key",
        f"revision 1, serial number {status['serialNumber']}",
        f"from {status['notBefore']} until {status['notAfter']} (in 89d)",
        f"Renewal {status['renewalTime']} (in 5",
        "What to do: Nothing.",
    ):
        assert part in words


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "brought",
            (
                "Not ready: ActionRequired",
                "(manual): ready",
                "brought-tls does not exist",
                "Order at Issuer/people, since",
                "`kubectl csr export brought -n {namespace}`",
                "`kubectl csr import brought -n {namespace} FILE`",
            ),
        ),
        ("lost", ("Not ready: IssuerNotFound", "/nobody does not exist", "Create the issuer")),
        (
            "unready",
            (
                "Not ready: IssuerNotReady",
                "(ca): not ready, SecretNotFound: Secret {namespace}/nothing",
                "`kubectl describe csrissuer keyless -n {namespace}`",
                "Issuer {namespace}/keyless: SecretNotFound: A Secret that the issuer names is not there yet",
            ),
        ),
        (
            "undecided",
            (
                "Not ready: ApprovalPending",
                "; needs approval",
                "`kubectl csr approve undecided -n {namespace} --generation 1`",
            ),
        ),
        (
            "denied",
            ("Not ready: PolicyDenied", 'rule web: dnsNames: "denied.example.com" is not allowed', "spec.policy"),
        ),
        (
            "foreign",
            (
                "Not ready: SecretNotOwned",
                "Secret foreign-tls was not made by the operator",
                "`kubectl csr adopt foreign -n {namespace}`",
                "If nobody needs the Secret: `kubectl delete secret foreign-tls -n {namespace}`",
            ),
        ),
    ],
)
def test_one_in_trouble(name: str, parts: tuple[str, ...], csr: Plugin, site: Site) -> None:
    words = csr("status", name).words
    for part in parts:
        assert part.format(namespace=site.kubectl.namespace) in words
    assert "Events: " in words


def test_one_names_the_replica_that_works_on_it(csr: Plugin, site: Site) -> None:
    words, replica = csr("status", "www").words, csr.json("status", "www")["replica"]
    assert (
        f"Replica process {site.operator.pid} on host {socket.gethostname()} (shard {replica['shard']} of 64)" in words
    )
    assert (replica["pod"], replica["host"]) == (None, socket.gethostname())
    assert "not been heard of" not in words


def test_one_as_json(csr: Plugin, site: Site) -> None:
    brought = csr.json("status", "brought")

    assert (brought["ready"], brought["reason"], brought["certificate"]) == (False, "ActionRequired", None)
    assert [(f["reason"], bool(f["remedy"])) for f in brought["findings"]] == [("ActionRequired", True)]
    (people,) = brought["issuers"]
    assert (people["name"], people["backend"], people["ready"], people["exists"]) == ("people", "manual", True, True)
    assert brought["secret"] == {"name": "brought-tls", "exists": False, "owned": None}
    assert brought["order"]["issuer"] == "Issuer/people"
    assert brought["events"][-1]["reason"] == "ActionRequired"
    assert brought["unread"] == []
    assert yaml.safe_load(csr("status", "brought", "-o", "yaml").out)["names"] == "DNS:brought.example.com"


def test_what_may_not_be_read_is_named_and_the_rest_is_told(csr: Plugin, site: Site, folder: Path) -> None:
    stranger = user(site.kubectl, folder, "stranger", rule("certificaterequests", "get list"))
    reader = user(site.kubectl, folder, "reader", *READER, rule("events", "list", "events.k8s.io"))

    words = stranger("status", "unready").words
    assert "Not ready: IssuerNotReady" in words
    assert "keyless (it could not be read)" in words
    assert "unready-tls (you may not read Secrets here)" in words
    assert "Replica" not in words
    assert "leases" not in words
    for what in (f"Issuer {site.kubectl.namespace}/keyless", "events"):
        assert f"({what} could not be read: " in words

    answer = reader.json("status", "www")
    assert answer["ready"]
    assert answer["secret"]["exists"] is None
    assert answer["issuers"][0]["ready"]
    assert [text.partition(" could")[0] for text in answer["unread"]] == ["Secret www-tls"]
    assert answer["replica"] is None
    assert reader("status").out == csr("status").out


def test_what_others_wrote_cannot_steer_the_terminal(csr: Plugin, site: Site) -> None:
    obj = site.kubectl.get("csreq", "undecided")
    conditions = [*obj["status"]["conditions"]]
    conditions.append({**conditions[0], "type": "Denied", "status": "True", "message": "\x1b[2J\x9b2J gone"})
    patch = {"status": {"conditions": conditions}}
    site.kubectl("patch", "csreq", "undecided", "--subresource=status", "--type=merge", "-p", json.dumps(patch))
    site.wait_condition("undecided", "Stalled", "Denied")

    for arguments in (("status", "undecided"), ("status",)):
        out = csr(*arguments).out
        assert "2J gone" in out
        assert not {"\x1b", "\x9b"} & set(out)
    assert "\x1b" not in csr("status", "undecided", "-o", "json").out
    assert "\x1b" in csr.json("status", "undecided")["message"]
