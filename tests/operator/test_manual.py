"""A CA that is a person: the CSR is taken from status, and the chain brought by an annotation."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import OpensslCa, certificate_text, openssl, own_csr, public_key, request_text, split, verify
from tests.support.operator import OperatorProcess
from tests.support.revocation import events
from tests.support.site import REQUEST, Site, decoded, moment, new_namespace

IMPORT = "csr-operator.dev/import"
RENEW = "csr-operator.dev/renew"
DURATION = "csr_operator_issuance_duration_seconds"


@dataclass(frozen=True, slots=True)
class Office:
    """A site with the manual issuers `anybody`, and `company`, which knows the root of `ca`."""

    site: Site
    ca: OpensslCa
    other_ca: OpensslCa

    def wait_pending(self, *names: str) -> dict[str, dict[str, Any]]:
        """Wait until these requests wait for a person; returns their status."""

        def probe() -> dict[str, dict[str, Any]] | None:
            found = {r["metadata"]["name"]: r for r in self.site.kubectl.list(REQUEST)}
            held = {n: condition(found[n], "Reconciling") or condition(found[n], "Renewing") for n in names}
            pending = {n: found[n]["status"] for n in names if held[n].get("reason")}
            reasons = {held[n]["reason"] for n in pending}
            return pending if len(pending) == len(names) and reasons == {"ActionRequired"} else None

        return wait_until(f"{names} wait for a person", probe)

    def annotate(self, name: str, **annotations: str) -> None:
        patch = json.dumps({"metadata": {"annotations": annotations}})
        self.site.kubectl("patch", REQUEST, name, "--type=merge", "--patch-file=/dev/stdin", stdin=patch)

    def bring(self, name: str, chain: str) -> None:
        self.annotate(name, **{IMPORT: chain})

    def staging(self, name: str) -> dict[str, Any]:
        """The Secret that keeps the order of a request; empty if there is none."""
        uid = self.site.kubectl.get(REQUEST, name).get("metadata", {}).get("uid")
        found = self.site.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
        return next((s for s in found if s["metadata"]["ownerReferences"][0]["uid"] == uid), {})


@pytest.fixture(scope="module")
def office(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Office:
    folder = tmp_path_factory.mktemp("authorities")
    ca, other_ca = OpensslCa.create(folder / "ca"), OpensslCa.create(folder / "other", "Other Root")
    site.kubectl.apply(issuer("anybody", manual={}), issuer("company", manual={"caBundle": ca.certificate}))
    return Office(site, ca, other_ca)


@pytest.fixture
def pending(office: Office, unique_name: str) -> dict[str, Any]:
    """The status of the request `unique_name`, which waits for a person."""
    office.site.kubectl.apply(request(unique_name, "company"))
    return office.wait_pending(unique_name)[unique_name]


def test_what_a_person_signed_is_served(
    office: Office, cluster: ControlPlane, unique_name: str, pending: dict[str, Any], tmp_path: Path
) -> None:
    site = office.site
    assert f"DNS:{unique_name}.example.com" in request_text(pending["csr"])
    assert site.kubectl.get("secret", f"{unique_name}-tls") == {}
    kept = decoded(office.staging(unique_name))
    assert kept["tls.csr"] == pending["csr"]
    assert public_key(kept["tls.key"]) == openssl("req", "-noout", "-pubkey", stdin=pending["csr"])
    message = condition(site.kubectl.get(REQUEST, unique_name), "Ready")["message"]
    assert "have the CSR in status.csr signed, and import the chain with `kubectl csr import`" in message

    office.bring(unique_name, office.ca.sign(pending["csr"]) + office.ca.certificate)

    site.kubectl.wait_ready(unique_name)
    data = site.data(f"{unique_name}-tls")
    assert data["tls.key"].startswith("-----BEGIN EC PRIVATE KEY-----")
    assert public_key(data["tls.key"]) == public_key(kept["tls.key"]) == public_key(data["tls.crt"])
    assert data["ca.crt"] == split(office.ca.certificate)[0]
    verify(tmp_path, data, "-verify_hostname", f"{unique_name}.example.com")
    wait_until("the staging Secret is gone", lambda: not office.staging(unique_name))
    site.settle()
    written = [
        c for c in writes(cluster, site.kubectl.namespace) if c.name.startswith(unique_name) and c.resource != "events"
    ]
    assert [call.code for call in written if call.code >= 400] == []
    assert len(written) <= 5, "\n".join(f"{c.verb} {c.resource} {c.name} {c.code}" for c in written)


def test_the_issuers_root_is_added_and_the_person_decides_how_long(office: Office, unique_name: str) -> None:
    office.site.kubectl.apply(request(unique_name, "company", duration="24h"))
    csr = office.wait_pending(unique_name)[unique_name]["csr"]

    office.bring(unique_name, office.ca.sign(csr))

    office.site.kubectl.wait_ready(unique_name)
    status = office.site.status(unique_name)
    assert moment(status["notAfter"]) - moment(status["notBefore"]) == timedelta(days=30)
    assert office.site.data(f"{unique_name}-tls")["ca.crt"] == split(office.ca.certificate)[0]


def _of_another_key(office: Office, csr: str, folder: Path) -> str:
    return office.ca.sign(own_csr(folder, "a.example.com"))


def _expired(office: Office, csr: str, folder: Path) -> str:
    return office.ca.sign(csr, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z")


WRONG: dict[str, tuple[Callable[[Office, str, Path], str], str]] = {
    "other-key": (_of_another_key, "none of the 1 certificates is for the key that was asked for"),
    "ca-alone": (lambda o, csr, _: o.ca.certificate, "none of the 1 certificates is for the key that was asked for"),
    "name-missing": (lambda o, csr, _: o.ca.sign(csr, names=["DNS:a.example.com"]), '"b.example.com" is missing'),
    "name-added": (
        lambda o, csr, _: o.ca.sign(csr, names=[f"DNS:{c}.example.com" for c in "abc"]),
        '"c.example.com" was not asked for',
    ),
    "expired": (_expired, "validity: it ended at 2020-02-01T00:00:00Z"),
    "other-root": (lambda o, csr, _: o.other_ca.sign(csr) + o.other_ca.certificate, "chain: "),
    "garbage": (lambda o, csr, _: "hello", "there is no certificate in it: PEM, DER or PKCS #7 is required"),
    "damaged": (
        lambda o, csr, _: o.ca.sign(csr)[:400],
        "the certificates cannot be read: a line -----END CERTIFICATE----- is missing",
    ),
    "csr": (lambda o, csr, _: csr, "there is no certificate in it"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status before and after a wrong chain was brought, and the request's Secret after the right one was."""

    before: dict[str, Any]
    after: dict[str, Any]
    secret: dict[str, Any]


@pytest.fixture(scope="module")
def refusals(office: Office, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refusal]:
    site, folder = office.site, tmp_path_factory.mktemp("wrong")
    names = {case: f"wrong-{case}" for case in WRONG}
    hosts = ["a.example.com", "b.example.com"]
    site.kubectl.apply(*(request(name, "company", dnsNames=hosts) for name in names.values()))
    before = office.wait_pending(*names.values())
    for case, name in names.items():
        office.bring(name, WRONG[case][0](office, before[name]["csr"], folder))

    def refused() -> dict[str, dict[str, Any]] | None:
        now = office.wait_pending(*names.values())
        told = [condition({"status": status}, "Ready")["message"] for status in now.values()]
        return now if all("what was imported is refused" in text for text in told) else None

    after = wait_until("each wrong chain is refused", refused)
    for name in names.values():
        office.bring(name, office.ca.sign(before[name]["csr"]))
    site.kubectl.wait_ready(*names.values())
    secrets = {s["metadata"]["name"]: s for s in site.kubectl.list("secrets")}
    return {case: Refusal(before[name], after[name], secrets[f"{name}-tls"]) for case, name in names.items()}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_refused_in_words_and_the_right_one_still_taken(
    office: Office, refusals: dict[str, Refusal], case: str
) -> None:
    refusal = refusals[case]
    message = condition({"status": refusal.after}, "Ready")["message"]
    assert WRONG[case][1] in message
    assert message.endswith("have the CSR in status.csr signed, and import the chain with `kubectl csr import`")
    assert not condition({"status": refusal.after}, "Stalled")
    assert refusal.after["csr"] == refusal.before["csr"]
    leaf = decoded(refusal.secret)["tls.crt"]
    assert public_key(leaf) == openssl("req", "-noout", "-pubkey", stdin=refusal.before["csr"])
    assert any(WRONG[case][1] in event["note"] for event in office.site.warnings(f"wrong-{case}"))


@pytest.mark.parametrize("end", [OperatorProcess.kill, OperatorProcess.stop])
def test_an_order_survives_a_restart(
    office: Office,
    cluster: ControlPlane,
    unique_name: str,
    pending: dict[str, Any],
    end: Callable[[OperatorProcess], Any],
) -> None:
    site, staged = office.site, office.staging(unique_name)
    before = len(writes(cluster, site.kubectl.namespace))
    end(site.operator)
    site.operator.start()
    site.settle()

    after = writes(cluster, site.kubectl.namespace)[before:]
    assert not [call for call in after if call.name.startswith(unique_name)]
    assert office.staging(unique_name) == staged
    assert site.status(unique_name) == pending
    assert site.operator.metric(f"{DURATION}_count", backend="manual") == 0
    chain = office.ca.sign(pending["csr"])
    waited = datetime.now(UTC) - moment(staged["metadata"]["creationTimestamp"])
    office.bring(unique_name, chain)
    site.kubectl.wait_ready(unique_name)
    assert site.operator.metric(f"{DURATION}_count", backend="manual") == 1
    assert site.operator.metric(f"{DURATION}_sum", backend="manual") >= waited.total_seconds()


def test_how_long_it_took_is_known_when_the_certificate_is_stored(office: Office, unique_name: str) -> None:
    def measured() -> float:
        return office.site.operator.metric(f"{DURATION}_count", backend="manual")

    before = measured()
    office.site.kubectl.apply(request(unique_name, "company"))
    csr = office.wait_pending(unique_name)[unique_name]["csr"]
    assert measured() == before
    office.bring(unique_name, office.ca.sign(csr))
    office.site.kubectl.wait_ready(unique_name)
    assert measured() == before + 1


def test_what_is_signed_while_the_operator_is_away_is_taken(
    office: Office, unique_name: str, pending: dict[str, Any]
) -> None:
    with office.site.operator_away():
        office.bring(unique_name, office.ca.sign(pending["csr"]))
    office.site.kubectl.wait_ready(unique_name)


def test_another_spec_is_another_order(office: Office, unique_name: str, pending: dict[str, Any]) -> None:
    site, names = office.site, ["other.example.com"]
    staged = office.staging(unique_name)["metadata"]["uid"]
    site.kubectl("patch", REQUEST, unique_name, "--type=merge", "-p", json.dumps({"spec": {"dnsNames": names}}))
    wait_until(
        "the old order is gone",
        lambda: office.staging(unique_name).get("metadata", {}).get("uid") not in (None, staged),
    )
    csr = wait_until("the new CSR is shown", lambda: (s := site.status(unique_name)["csr"]) != pending["csr"] and s)
    assert "DNS:other.example.com" in request_text(csr)
    assert decoded(office.staging(unique_name))["tls.csr"] == csr

    office.bring(unique_name, office.ca.sign(pending["csr"]))
    refused = wait_until(
        "the answer to the old order is refused",
        lambda: (
            (c := condition(site.kubectl.get(REQUEST, unique_name), "Ready"))["message"].startswith("what was") and c
        ),
    )
    assert "for the key that was asked for" in refused["message"]
    office.bring(unique_name, office.ca.sign(csr))
    site.kubectl.wait_ready(unique_name)


@pytest.mark.parametrize("kept_key", [False, True], ids=["new-key", "same-key"])
def test_a_renewal_waits_for_a_new_answer_while_the_old_one_serves(
    office: Office, unique_name: str, tmp_path: Path, kept_key: bool
) -> None:
    site = office.site
    own = {"request": own_csr(tmp_path, unique_name)} if kept_key else {}
    site.kubectl.apply(request(unique_name, "company", **own))
    first = office.wait_pending(unique_name)[unique_name]["csr"]
    office.bring(unique_name, office.ca.sign(first))
    site.kubectl.wait_ready(unique_name)
    before = site.kubectl.get("secret", f"{unique_name}-tls")

    office.annotate(unique_name, **{RENEW: "now"})

    second = office.wait_pending(unique_name)[unique_name]
    ready = condition(site.kubectl.get(REQUEST, unique_name), "Ready")
    assert (ready["status"], second["revision"]) == ("True", 1)
    assert "refused" not in condition({"status": second}, "Renewing")["message"]
    assert (second["csr"] == first) == kept_key
    site.settle()
    assert site.kubectl.get("secret", f"{unique_name}-tls") == before

    office.bring(unique_name, office.ca.sign(second["csr"]))
    status = site.wait_status(unique_name, revision=2)
    assert int(status["serialNumber"], 16) != int(
        before["metadata"]["annotations"]["csr-operator.dev/serial-number"], 16
    )
    assert public_key(site.data(f"{unique_name}-tls")["tls.crt"]) == openssl(
        "req", "-noout", "-pubkey", stdin=second["csr"]
    )
    [note] = wait_until("it is told", lambda: events(site, unique_name, "Issued"))
    assert note == "revision 2, because of RenewalRequested"


def test_nothing_is_left_of_a_request_that_is_deleted_while_it_waits(
    office: Office, unique_name: str, pending: dict[str, Any]
) -> None:
    staged = office.staging(unique_name)["metadata"]["name"]
    office.site.kubectl("delete", REQUEST, unique_name)
    wait_until("the staging Secret is collected", lambda: not office.site.kubectl.get("secret", staged))


def test_a_deleted_staging_secret_is_another_order(office: Office, unique_name: str, pending: dict[str, Any]) -> None:
    """The key is lost with it."""
    site = office.site
    site.kubectl("delete", "secret", office.staging(unique_name)["metadata"]["name"])
    csr = wait_until("there is another CSR", lambda: (s := site.status(unique_name).get("csr")) != pending["csr"] and s)
    assert decoded(office.staging(unique_name))["tls.csr"] == csr
    office.bring(unique_name, office.ca.sign(csr))
    site.kubectl.wait_ready(unique_name)


def test_without_a_ca_bundle_any_root_will_do(office: Office, unique_name: str) -> None:
    office.site.kubectl.apply(request(unique_name, "anybody"))
    csr = office.wait_pending(unique_name)[unique_name]["csr"]
    office.bring(unique_name, office.other_ca.certificate + office.other_ca.sign(csr))
    office.site.kubectl.wait_ready(unique_name)
    data = office.site.data(f"{unique_name}-tls")
    assert "Issuer: CN=Other Root" in certificate_text(data["tls.crt"])
    assert len(split(data["tls.crt"])) == 1


@pytest.fixture
def slow_site(cluster: ControlPlane, operator_credentials: Path, tmp_path: Path) -> Iterator[Site]:
    """A namespace with the manual issuer `company`, and a request `www` that waits for it since now."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    arguments = ("--namespace", kubectl.namespace)
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *arguments) as operator:
        kubectl.apply(issuer("company", manual={}), request("www", "company"))
        site = Site(kubectl, operator)
        site.wait_condition("www", "Reconciling", "ActionRequired")
        yield site


def test_who_keeps_others_waiting_is_reminded(slow_site: Site, operator_credentials: Path, tmp_path: Path) -> None:
    """At the end of each day after the order; and the metric tells of it all the time."""
    site = slow_site
    (staged,) = site.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
    created = moment(staged["metadata"]["creationTimestamp"])
    assert site.metric("csr_operator_request_pending_since_timestamp_seconds", "www") == created.timestamp()
    site.operator.stop()

    arguments = (operator_credentials, tmp_path / "later.log", "--namespace", site.kubectl.namespace)
    for days in range(1, 5):
        due = created + timedelta(days=days)
        ahead = due - timedelta(seconds=5 * 2**days) - datetime.now(UTC)
        with OperatorProcess(*arguments, clock_offset=ahead.total_seconds()) as operator:
            if datetime.now(UTC) + ahead > due - timedelta(seconds=3):
                continue  # its start took too long on a busy machine: once more, with more time for it
            later = Site(site.kubectl, operator)
            assert later.metric("csr_operator_request_pending_since_timestamp_seconds", "www") == created.timestamp()

            def reminders() -> list[dict[str, Any]]:
                return [event for event in site.warnings("www") if event["reason"] == "StillPending"]

            (reminder,) = wait_until("there is a reminder", reminders, seconds=120)
            break
    assert f"since {staged['metadata']['creationTimestamp']}: " in reminder["note"]
    assert "import the chain with `kubectl csr import`" in reminder["note"]
