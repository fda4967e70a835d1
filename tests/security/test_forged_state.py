"""Who may write Secrets of a namespace gains nothing by writing what the operator keeps in them.

Each attack is played by a cluster administrator, whom the admission policy of `deploy/` lets write such a Secret: the
operator has to see by itself that it is not its own. That a tenant is not even let is in test_state_policy.py.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import certificate_text, own_csr, request_text
from tests.support.revocation import GROUP, OWED, checked, crl, events, make_revoking_ca
from tests.support.site import REQUEST, Site, base64_text

STATE_KEY = "csr-operator-state-key"
FORGED = "StateNotAuthentic"
EVIL = "bank.victim.example.org"


@pytest.fixture(scope="module", autouse=True)
def issuers(site: Site) -> None:
    """One that allows names of team-a alone, one that waits for a person, and one that revokes."""
    policy = {"default": "Deny", "rules": [{"dnsNames": {"suffixes": ["example.com"]}}]}
    site.kubectl.apply(
        issuer("strict", ca={"secretName": "root-tls"}, policy=policy), issuer("clerk", manual={}, policy=policy)
    )
    make_revoking_ca(site)
    site.kubectl.wait_ready("strict", "clerk", kind="issuer")


@pytest.fixture
def issued(site: Site, unique_name: str) -> dict[str, Any]:
    """The request `unique_name`, Ready."""
    site.kubectl.apply(request(unique_name, "strict"))
    site.kubectl.wait_ready(unique_name)
    return site.kubectl.get(REQUEST, unique_name)


def apply_as_operator(site: Site, secret: dict[str, Any]) -> None:
    """With the operator's field manager, which proves nothing."""
    site.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager=csr-operator", "-f", "-"),
        stdin=json.dumps(secret),
    )


def annotations(site: Site, secret: str) -> dict[str, str]:
    return dict(site.kubectl.get("secret", secret)["metadata"]["annotations"])


def staging(site: Site, name: str) -> dict[str, Any]:
    """The Secret of the order of a request; empty if there is none."""
    uid = site.kubectl.get(REQUEST, name)["metadata"]["uid"]
    found = site.kubectl.list("secrets", "-l", f"{GROUP}/staging=true")
    return next((s for s in found if s["metadata"]["ownerReferences"][0]["uid"] == uid), {})


def order(site: Site, name: str, folder: Path, **changes: str) -> dict[str, Any]:
    """A staging Secret as the operator writes it, by somebody who has no key to seal it with, for names of theirs."""
    there = site.kubectl.get(REQUEST, name)
    uid = there["metadata"]["uid"]
    csr = own_csr(folder, EVIL)
    record = annotations(site, f"{name}-tls") if site.kubectl.get("secret", f"{name}-tls") else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"{name}-{uid.replace('-', '')[:12]}-order",
            "labels": {f"{GROUP}/managed": "true", f"{GROUP}/staging": "true"},
            "annotations": {
                f"{GROUP}/issuance-hash": record.get(f"{GROUP}/issuance-hash", ""),
                f"{GROUP}/revision": "2",
                f"{GROUP}/issuer": "Issuer/strict",
                f"{GROUP}/csr-digest": "0" * 32,
                f"{GROUP}/order": "",
                f"{GROUP}/early-replacements": "0",
                f"{GROUP}/lapses": "0",
                f"{GROUP}/order-again": "",
                f"{GROUP}/seal": record.get(f"{GROUP}/seal", ""),
                **{f"{GROUP}/{key.replace('_', '-')}": value for key, value in changes.items()},
            },
            "ownerReferences": [
                {
                    "apiVersion": f"{GROUP}/v1alpha1",
                    "kind": "CertificateRequest",
                    "name": name,
                    "uid": uid,
                    "controller": True,
                }
            ],
        },
        "type": "Opaque",
        "data": {"tls.key": base64_text((folder / f"{EVIL}.key").read_text()), "tls.csr": base64_text(csr)},
    }


def assert_unharmed(site: Site, issued: dict[str, Any]) -> None:
    name = issued["metadata"]["name"]
    there = site.kubectl.get(REQUEST, name)
    assert there["status"] == issued["status"]
    text = certificate_text(site.data(f"{name}-tls")["tls.crt"])
    assert f"DNS:{name}.example.com" in text
    assert "bank" not in text


def test_a_forged_order_has_nothing_signed(
    site: Site, unique_name: str, issued: dict[str, Any], tmp_path: Path
) -> None:
    """C1: a request that is Ready, and an order of a later revision for names that the policy forbids."""
    forged = order(site, unique_name, tmp_path)
    apply_as_operator(site, forged)

    wait_until("the forged order is gone", lambda: not site.kubectl.get("secret", forged["metadata"]["name"]))
    site.settle()
    assert_unharmed(site, issued)
    [note] = wait_until("the user is told", lambda: events(site, unique_name, FORGED))
    assert forged["metadata"]["name"] in note


def test_an_order_of_another_request_is_not_taken_over(
    site: Site, unique_name: str, issued: dict[str, Any], tmp_path: Path
) -> None:
    """Its seal is the operator's, and covers whose it is."""
    other = f"{unique_name}-other"
    site.kubectl.apply(request(other, "clerk"))
    genuine = wait_until("there is an order", lambda: staging(site, other))
    forged = order(site, unique_name, tmp_path)
    forged["metadata"]["annotations"] = genuine["metadata"]["annotations"]
    forged["data"] = genuine["data"]
    apply_as_operator(site, forged)

    wait_until("the forged order is gone", lambda: not site.kubectl.get("secret", forged["metadata"]["name"]))
    assert_unharmed(site, issued)


def test_key_and_csr_of_a_genuine_order_are_not_exchanged(site: Site, unique_name: str, tmp_path: Path) -> None:
    """All that the metadata shows is the operator's own; what it is about is not."""
    site.kubectl.apply(request(unique_name, "clerk"))
    genuine = wait_until("there is an order", lambda: staging(site, unique_name))
    data = order(site, unique_name, tmp_path)["data"]
    site.kubectl("patch", "secret", genuine["metadata"]["name"], "--type=merge", "-p", json.dumps({"data": data}))
    # Looked at again, as it is when somebody imports a chain.
    site.kubectl("annotate", REQUEST, unique_name, f"{GROUP}/import=nothing")

    wait_until(
        "another order is placed",
        lambda: staging(site, unique_name).get("metadata", {}).get("uid") not in (None, genuine["metadata"]["uid"]),
    )
    csr = wait_until("the CSR is shown", lambda: site.status(unique_name).get("csr"))
    assert "bank" not in request_text(csr)


def test_a_forged_order_that_is_being_deleted_is_let_go(
    site: Site, unique_name: str, issued: dict[str, Any], tmp_path: Path
) -> None:
    """H2: nobody's order is taken back for it."""
    forged = order(
        site, unique_name, tmp_path, order="https://ca.example.com/order/of/team-b", issuer="ClusterIssuer/company"
    )
    forged["metadata"]["name"] = f"{unique_name}-any-name"
    forged["metadata"]["finalizers"] = [f"{GROUP}/order"]
    apply_as_operator(site, forged)
    site.kubectl("delete", "secret", forged["metadata"]["name"], "--wait=false")

    wait_until("it is gone", lambda: not site.kubectl.get("secret", forged["metadata"]["name"]))
    assert_unharmed(site, issued)


def test_a_forged_debt_has_nobodys_certificate_revoked(site: Site, unique_name: str, tmp_path: Path) -> None:
    """C3: the certificate is somebody else's, the issuer one that the request does not even name."""
    site.kubectl.apply(request(f"{unique_name}-victim", "revoking"), request(unique_name, "strict"))
    site.kubectl.wait_ready(f"{unique_name}-victim", unique_name)
    victim = (
        site.data(f"{unique_name}-victim-tls")["tls.crt"].split("-----END")[0].split("-----\n")[1].replace("\n", "")
    )
    entry = {"issuer": "Issuer/revoking", "notAfter": "2099-01-01T00:00:00Z", "certificate": victim, "proof": victim}
    seal = annotations(site, f"{unique_name}-tls")[f"{GROUP}/seal"]
    for value in (json.dumps([entry]), f"{seal} {json.dumps([entry])}", "[" * 5000):
        site.kubectl("annotate", "secret", f"{unique_name}-tls", "--overwrite", f"{OWED}={value}")
        site.settle()
    wait_until("the user is told", lambda: any(OWED in note for note in events(site, unique_name, FORGED)))
    site.kubectl("delete", REQUEST, unique_name)
    site.settle()
    wanted = site.data(f"{unique_name}-victim-tls")["tls.crt"]
    assert not crl(site) or checked(tmp_path, wanted, crl(site)) == "OK"


def adopted(name: str, uid: str, data: dict[str, str], kind: str) -> dict[str, Any]:
    """A Secret that somebody makes for a request, and of which nothing is on record."""
    owner = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "CertificateRequest", "name": name, "uid": uid}
    metadata = {
        "name": f"{name}-tls",
        "labels": {f"{GROUP}/managed": "true"},
        "ownerReferences": [{**owner, "controller": True}],
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


def test_the_certificate_of_another_with_the_same_csr_is_not_revoked(
    site: Site, unique_name: str, tmp_path: Path
) -> None:
    """A CSR is no secret: whoever has it, and the certificate, does not have the key."""
    victim, csr = f"{unique_name}-victim", own_csr(tmp_path, f"{unique_name}.example.com")
    site.kubectl.apply(request(victim, "revoking", request=csr))
    site.kubectl.wait_ready(victim)
    certificate = site.kubectl.get("secret", f"{victim}-tls")["data"]
    with site.operator_away():
        site.kubectl.apply(request(unique_name, "revoking", request=csr))
        uid = site.kubectl.get(REQUEST, unique_name)["metadata"]["uid"]
        apply_as_operator(site, adopted(unique_name, uid, {k: certificate[k] for k in ("tls.crt", "ca.crt")}, "Opaque"))
    site.kubectl.wait_ready(unique_name)
    serial_number = site.status(victim)["serialNumber"]
    assert site.status(unique_name)["serialNumber"] == serial_number
    assert annotations(site, f"{unique_name}-tls")[f"{GROUP}/issuer"] == ""

    site.kubectl("annotate", REQUEST, unique_name, f"{GROUP}/revoke={serial_number}")

    site.wait_status(unique_name, revision=2)
    [note] = wait_until("the user is told", lambda: events(site, unique_name, "NotRevoked"))
    assert f"{serial_number} was not revoked: no issuer is on record that issued it to this request" in note
    site.settle()
    assert not crl(site) or checked(tmp_path, site.data(f"{victim}-tls")["tls.crt"], crl(site)) == "OK"
    assert not events(site, unique_name, "Revoked")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reference", "100000001/100000002"),
        ("issuer", "ClusterIssuer/company"),
        ("not-after", "2099-01-01T00:00:00Z"),
        ("revision", "9" * 30),
        ("early-replacements", "x"),
        ("seal", "x" * 43),
        ("seal", ""),
    ],
)
def test_a_record_that_was_changed_is_taken_from_the_certificate_itself(
    site: Site, unique_name: str, issued: dict[str, Any], field: str, value: str
) -> None:
    """H1, L6: of the record, nothing is believed; the certificate stays."""
    before = annotations(site, f"{unique_name}-tls")
    site.kubectl("annotate", "secret", f"{unique_name}-tls", "--overwrite", f"{GROUP}/{field}={value}")

    def restored() -> bool:
        now = annotations(site, f"{unique_name}-tls")
        return now[f"{GROUP}/{field}"] != value and now[f"{GROUP}/seal"] != ""

    wait_until("the record is restored", restored)
    after = annotations(site, f"{unique_name}-tls")
    kept = ("serial-number", "revision", "issuer", "reference", "not-after", "early-replacements")
    assert [after[f"{GROUP}/{one}"] for one in kept] == [before[f"{GROUP}/{one}"] for one in kept]
    assert {k: v for k, v in site.status(unique_name).items() if k != "pace"} == {
        k: v for k, v in issued["status"].items() if k != "pace"
    }


def test_a_record_of_another_secret_is_not_believed(site: Site, unique_name: str, issued: dict[str, Any]) -> None:
    other = f"{unique_name}-other"
    site.kubectl.apply(request(other, "strict"))
    site.kubectl.wait_ready(other)
    patch = {"metadata": {"annotations": annotations(site, f"{other}-tls")}}
    site.kubectl("patch", "secret", f"{unique_name}-tls", "--type=merge", "-p", json.dumps(patch))

    mine = issued["status"]["serialNumber"]
    wait_until("it is restored", lambda: annotations(site, f"{unique_name}-tls")[f"{GROUP}/serial-number"] == mine)
    assert site.status(unique_name)["revision"] == 1


def test_a_backup_that_is_restored_is_recognised(site: Site, unique_name: str, issued: dict[str, Any]) -> None:
    """Other UIDs, other field managers, the same Secret: no certificate is issued."""
    patch = {"spec": {"deletionPolicy": "Retain"}}
    site.kubectl("patch", REQUEST, unique_name, "--type=merge", "-p", json.dumps(patch))
    wait_until(
        "it is retained", lambda: annotations(site, f"{unique_name}-tls")[f"{GROUP}/retained-for"] == unique_name
    )
    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    site.kubectl("delete", REQUEST, unique_name)
    site.kubectl("delete", "secret", f"{unique_name}-tls")
    with site.operator_away():
        kept = {k: secret["metadata"][k] for k in ("name", "labels", "annotations")}
        site.kubectl("create", "-f", "-", stdin=json.dumps({**secret, "metadata": kept}))
        site.kubectl.apply(request(unique_name, "strict", deletionPolicy="Retain"))

    site.kubectl.wait_ready(unique_name)
    site.settle()
    status = site.status(unique_name)
    assert (status["serialNumber"], status["revision"]) == (issued["status"]["serialNumber"], 1)


def state_key(site: Site, *arguments: str) -> str:
    """kubectl, where the key is."""
    return site.kubectl("-n", "csr-operator-system", *arguments)


def state_keys(site: Site) -> dict[str, str]:
    data: dict[str, str] = json.loads(state_key(site, "get", "secret", STATE_KEY, "-o", "json"))["data"]
    return data


@pytest.fixture
def borrowed_key(site: Site) -> Iterator[None]:
    """What the key was verifies again afterwards: operators of other tests, which run on, have sealed with it."""
    saved = state_keys(site)
    yield
    patch = json.dumps({"data": {f"of-others-{name}": value for name, value in saved.items()}})
    state_key(site, "patch", "secret", STATE_KEY, "--type=merge", "-p", patch)


@pytest.mark.usefixtures("borrowed_key")
def test_the_key_is_rotated_without_a_write_and_its_loss_costs_no_certificate(
    site: Site, unique_name: str, issued: dict[str, Any]
) -> None:

    def version() -> str:
        return str(site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]["resourceVersion"])

    before, request_before = version(), site.kubectl.get(REQUEST, unique_name)["metadata"]["resourceVersion"]
    with site.operator_away():
        move = '[{"op": "move", "from": "/data/key", "path": "/data/previous"}]'
        state_key(site, "patch", "secret", STATE_KEY, "--type=json", "-p", move)
    site.settle()
    keys = state_keys(site)
    assert len(base64.b64decode(keys["key"])) == 32
    assert keys["key"] != keys["previous"]
    assert (version(), site.kubectl.get(REQUEST, unique_name)["metadata"]["resourceVersion"]) == (
        before,
        request_before,
    )

    seal = annotations(site, f"{unique_name}-tls")[f"{GROUP}/seal"]
    with site.operator_away():
        state_key(site, "delete", "secret", STATE_KEY)
    wait_until("it is sealed anew", lambda: annotations(site, f"{unique_name}-tls")[f"{GROUP}/seal"] != seal)
    site.settle()
    status = site.status(unique_name)
    assert (status["serialNumber"], status["revision"]) == (issued["status"]["serialNumber"], 1)
    assert not events(site, unique_name, "Issued")


def test_a_key_that_is_too_short_is_refused_in_words(site: Site) -> None:
    patch = json.dumps({"data": {"key": base64_text("short")}})
    saved = state_keys(site)
    site.operator.stop()
    try:
        state_key(site, "patch", "secret", STATE_KEY, "--type=merge", "-p", patch)
        site.operator.launch()
        wait_until("the operator ends", site.operator.has_ended)
        assert f"Secret {STATE_KEY} in namespace csr-operator-system: key is shorter than 32 bytes: remove" in (
            site.operator.log.read_text()
        )
    finally:
        state_key(site, "patch", "secret", STATE_KEY, "--type=merge", "-p", json.dumps({"data": saved}))
        site.operator.stop()
        site.operator.start()
