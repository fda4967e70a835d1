"""`renew` and `revoke` against the operator."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.support import READER, SCRIPTS, Plugin, rule, user, wait_unready
from tests.support.authorities import authority, opaque
from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import openssl
from tests.support.site import Site

RENEW, REVOKE = "csr-operator.dev/renew", "csr-operator.dev/revoke"


@pytest.fixture(scope="module", autouse=True)
def requests(site: Site) -> None:
    """`www` and `api` of team web; `shop` and `till` by issuer `revoking`, which keeps a revocation list.

    Its CA is none of the requests, so that it is not renewed with them.
    """
    names = {"www": "ca", "api": "ca", "shop": "revoking", "till": "revoking", "own": "root"}
    names |= dict.fromkeys(("lost", "gone", "kept"), "revoking")
    manifests = [request(name, issuer_name) for name, issuer_name in names.items()]
    for manifest in manifests[:2]:
        manifest["metadata"]["labels"] = {"team": "web"}
    site.kubectl.apply(
        authority("Revoking CA").secret("revoking-ca"),
        issuer("revoking", ca={"secretName": "revoking-ca", "crl": {"secretName": "crl"}}),
        *manifests,
    )
    site.kubectl.wait_ready(*names)


def test_renew_and_wait(kubectl_csr: Plugin, site: Site) -> None:
    before = site.status("www")

    answer = kubectl_csr("renew", "www", "--wait")

    after = site.status("www")
    assert after["revision"] == before["revision"] + 1
    assert after["serialNumber"] != before["serialNumber"]
    assert answer.out == (
        f"{site.kubectl.namespace}/www: revision {after['revision']}, serial number {after['serialNumber']}, "
        f"valid until {after['notAfter']}\n"
    )


def test_renew_by_label(csr: Plugin, site: Site) -> None:
    before = {name: site.status(name)["revision"] for name in ("www", "api", "shop")}
    data = csr.json("renew", "-l", "team=web", "--wait")
    items = {item["name"]: item for item in data["items"]}
    assert {name: item["revision"] for name, item in items.items()} == {
        "www": before["www"] + 1,
        "api": before["api"] + 1,
    }
    assert items["www"]["serialNumber"] == site.status("www")["serialNumber"]
    assert items["www"]["error"] is None
    assert site.status("shop")["revision"] == before["shop"]


def test_renew_all_and_twice_in_a_row(csr: Plugin, site: Site) -> None:
    before = {obj["metadata"]["name"]: obj["status"]["revision"] for obj in site.kubectl.list("csreq")}
    for round_ in (1, 2):
        lines = csr("renew", "--all", "--wait").out.splitlines()
        assert [line.split(":")[0].split("/")[1] for line in lines] == sorted(before)
        after = {obj["metadata"]["name"]: obj["status"]["revision"] for obj in site.kubectl.list("csreq")}
        # A CA that was renewed has its leaves reissued besides.
        assert all(after[name] >= before[name] + round_ for name in before)


def test_renew_names_what_is_not_there_and_renews_the_rest(csr: Plugin, site: Site) -> None:
    before = site.status("api")["revision"]
    answer = csr.run("renew", "nope", "api", "--wait")
    assert answer.status == 1
    assert answer.err == 'error: certificaterequests.csr-operator.dev "nope" not found\n'
    assert answer.out.startswith(f"{site.kubectl.namespace}/api: revision ")
    assert site.status("api")["revision"] > before
    assert csr("renew", "-l", "team=none").out == "No certificate requests found.\n"


def test_waiting_ends_with_the_reason_when_the_operator_cannot_go_on(csr: Plugin, site: Site) -> None:
    site.kubectl.apply(issuer("turning", selfSigned={}), request("turned", "turning"))
    site.kubectl.wait_ready("turned")
    site.kubectl.apply(issuer("turning", selfSigned={}, policy={"default": "Deny"}))

    said = csr.refused("renew", "turned", "--wait")

    assert "turned: PolicyDenied: " in said
    assert "policy.default is Deny" in said


@pytest.fixture
def slow(site: Site) -> None:
    """A request that waits for a person. It would keep `renew --all --wait` for ever."""
    site.kubectl.apply(issuer("people", manual={}), request("slow", "people"))
    wait_unready(site.kubectl, "ActionRequired", "slow")


@pytest.mark.usefixtures("slow")
def test_waiting_ends_with_what_is_waited_for_when_the_time_is_over(csr: Plugin) -> None:
    said = csr.refused("renew", "slow", "--wait", "--timeout", "100ms")
    assert "slow: timed out after 100ms: ActionRequired: have the CSR in status.csr signed" in said


def test_renew_takes_the_right_to_change_the_request(csr: Plugin, site: Site, folder: Path) -> None:
    reader = user(site.kubectl, folder, "reader", *READER)
    said = reader.refused("renew", "www")
    assert 'cannot patch resource "certificaterequests"' in said


def test_revoke_after_a_question(kubectl_csr: Plugin, site: Site, tmp_path: Path) -> None:
    old, status = site.data("shop-tls"), site.status("shop")
    crl, ca, certificate = tmp_path / "crl.pem", tmp_path / "ca.pem", tmp_path / "certificate.pem"
    ca.write_text(old["ca.crt"])

    def check(pem: str) -> str:
        crl.write_text(site.data("crl")["ca.crl"])
        certificate.write_text(pem)
        try:
            return openssl("verify", "-crl_check", "-CAfile", ca, "-CRLfile", crl, certificate)
        except AssertionError as error:
            return str(error)

    assert ": OK" in check(old["tls.crt"])
    answer = kubectl_csr("revoke", "shop", stdin="yes\n")

    assert f"Revoke and replace the certificate of {site.kubectl.namespace}/shop: DNS:shop.example.com" in answer.err
    assert f"serial number {status['serialNumber']}" in answer.err
    assert site.kubectl.get("csreq", "shop")["metadata"]["annotations"][REVOKE] == status["serialNumber"]
    wait_until("the old certificate is revoked", lambda: "certificate revoked" in check(old["tls.crt"]))
    new = site.data("shop-tls")["tls.crt"]
    assert new != old["tls.crt"]
    assert ": OK" in check(new)


def test_the_reason_is_in_the_revocation_list(csr: Plugin, site: Site) -> None:
    before = {name: site.status(name) for name in ("lost", "gone")}
    serials = {name: status["serialNumber"] for name, status in before.items()}
    assert csr.json("revoke", "lost", "-y", "--reason", "keyCompromise")["reason"] == "keyCompromise"
    site.wait_status("lost", revision=before["lost"]["revision"] + 1)
    # By hand, and in another spelling.
    site.kubectl("annotate", "csreq", "gone", f"{REVOKE}={serials['gone'].lower()} CESSATIONOFOPERATION")
    site.wait_status("gone", revision=before["gone"]["revision"] + 1)

    def reasons() -> dict[str, str] | None:
        text = openssl("crl", "-noout", "-text", stdin=site.data("crl")["ca.crl"])
        entries = text.split("Serial Number: ")[1:]
        found = {entry.split()[0]: entry for entry in entries}
        if any(serial not in found for serial in serials.values()):
            return None
        return {
            name: found[serial].partition("Reason Code:")[2].split("\n")[1].strip() for name, serial in serials.items()
        }

    assert wait_until("both are listed", reasons) == {"lost": "Key Compromise", "gone": "Cessation Of Operation"}


def test_a_reason_that_is_none_is_told_and_nothing_is_revoked(csr: Plugin, site: Site) -> None:
    before = site.status("kept")
    serial = before["serialNumber"]
    site.kubectl("annotate", "csreq", "kept", f"{REVOKE}={serial} oops")
    told = site.wait_condition("kept", "Renewing", "RevocationPending")
    assert "give one of these reasons after it, or none: unspecified, keyCompromise" in told["message"]
    assert site.status("kept")["revision"] == before["revision"]
    site.kubectl("annotate", "csreq", "kept", f"{REVOKE}-")
    site.wait_condition("kept", "Ready", "Issued")


def test_a_compromised_key_that_is_not_the_operators_to_replace_is_told(csr: Plugin, site: Site) -> None:
    key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    site.kubectl.apply(
        opaque("hsm", **{"tls.key": key}),
        request("own-key", "revoking", privateKey={"secretRef": {"name": "hsm"}}),
    )
    site.kubectl.wait_ready("own-key")
    answer = csr.run("revoke", "own-key", "--reason", "keyCompromise", stdin="no\n")
    assert (
        f"the next certificate is for the same key: first replace the key in Secret {site.kubectl.namespace}/hsm"
        in (answer.err)
    )
    assert "Revoke (keyCompromise) and replace " in answer.err


@pytest.mark.parametrize("answer", ["", "no\n", "\n"])
def test_revoke_does_nothing_without_a_yes(answer: str, csr: Plugin, site: Site) -> None:
    assert csr.refused("revoke", "till", stdin=answer).endswith("error: nothing was changed\n")
    assert REVOKE not in site.kubectl.get("csreq", "till")["metadata"].get("annotations", {})


def test_revoke_can_be_interrupted_at_the_question(csr: Plugin, site: Site) -> None:
    process = subprocess.Popen(
        [SCRIPTS / "kubectl-csr", "revoke", "till"],
        env={**site.kubectl.cluster.env, "KUBECONFIG": str(csr.kubeconfig)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    while not said.endswith(b"[y/N] "):
        said += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate()
    assert (process.returncode, rest) == (130, b"")
    assert REVOKE not in site.kubectl.get("csreq", "till")["metadata"].get("annotations", {})


def test_revoke_for_programs_and_without_rights_to_secrets(csr: Plugin, site: Site, folder: Path) -> None:
    editor = user(site.kubectl, folder, "editor", *READER, rule("certificaterequests", "patch"))
    serial, revision = site.status("till")["serialNumber"], site.status("till")["revision"]

    answer = editor.run("revoke", "till", "--yes", "-o", "json")

    assert json.loads(answer.out) == {
        "namespace": site.kubectl.namespace,
        "name": "till",
        "serialNumber": serial,
        "issuer": "Issuer/revoking",
        "reason": "superseded",
    }
    assert "note: Secret till-tls could not be read" in answer.err
    site.wait_status("till", revision=revision + 1)


@pytest.mark.usefixtures("slow")
def test_what_has_no_certificate_cannot_be_revoked(csr: Plugin) -> None:
    assert csr.refused("revoke", "slow", "--yes") == "error: slow has no certificate that could be revoked\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "www",
            "/ca cannot revoke (its backend is ca): name a Secret for its revocation list in spec.ca.crl.secretName",
        ),
        ("own", "/root cannot revoke (its backend is selfSigned): "),
    ],
)
def test_a_backend_that_cannot_revoke_is_named(name: str, words: str, csr: Plugin, site: Site) -> None:
    assert words in csr.refused("revoke", name, "--yes")
    assert REVOKE not in site.kubectl.get("csreq", name)["metadata"].get("annotations", {})
