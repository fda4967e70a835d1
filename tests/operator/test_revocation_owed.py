"""What cannot be revoked at once is not forgotten, holds up no renewal, and is never somebody else's certificate."""

import base64
import json
from pathlib import Path

import pytest

from tests.support.authorities import authority
from tests.support.kubectl import wait_until
from tests.support.manifests import issuer
from tests.support.revocation import (
    FINALIZER,
    GROUP,
    ON_DELETE,
    ON_ROTATION,
    OWED,
    ask,
    checked,
    come_back,
    crl,
    events,
    finalizers,
    leave,
    make_revoking_ca,
    renew,
    wait_gone,
    wait_revoked,
)
from tests.support.site import REQUEST, Site


@pytest.fixture(scope="module", autouse=True)
def revoking(site: Site) -> None:
    make_revoking_ca(site)


def test_a_crash_between_the_new_secret_and_the_revocation_forgets_nothing(site: Site, tmp_path: Path) -> None:
    old = leave(site, "moved", revocation=ON_ROTATION)
    told = site.wait_condition("moved", "Renewing", "RevocationPending")
    assert told["status"] == "False"
    assert told["message"] == (
        f"a certificate is to be revoked, but Issuer {site.kubectl.namespace}/moved does not exist: fix it, or abandon "
        "the revocation with the annotation csr-operator.dev/abandon-revocation=true"
    )
    assert site.kubectl.get(REQUEST, "moved")["status"]["conditions"][0]["status"] == "True", "it serves"

    site.operator.kill()
    try:
        come_back(site, "moved")
    finally:
        site.operator.start()

    wait_until("the request is released", lambda: finalizers(site, "moved") == [])
    assert checked(tmp_path, old, crl(site, "moved-crl")) == "certificate revoked"
    # The status is written after the request is released.
    wait_until("only Ready is told", lambda: [c["type"] for c in site.status("moved")["conditions"]] == ["Ready"])


def test_while_a_revocation_is_owed_the_certificate_is_renewed_all_the_same(site: Site, tmp_path: Path) -> None:
    first = leave(site, "waiting", revocation=ON_ROTATION)
    second = site.data("waiting-tls")["tls.crt"]

    renew(site, "waiting")

    site.wait_status("waiting", revision=3)
    wait_revoked(site, tmp_path, second)
    come_back(site, "waiting")
    wait_until("the request is released", lambda: finalizers(site, "waiting") == [])
    assert checked(tmp_path, first, crl(site, "waiting-crl")) == "certificate revoked"


def test_a_deletion_waits_for_the_ca_or_for_who_gives_it_up(site: Site) -> None:
    leave(site, "lost", revocation=ON_ROTATION)
    site.kubectl("delete", REQUEST, "lost", "--wait=false")
    site.wait_condition("lost", "Stalled", "RevocationPending")
    site.settle()
    assert finalizers(site, "lost") == [FINALIZER]

    site.kubectl("annotate", REQUEST, "lost", f"{GROUP}/abandon-revocation=true")

    wait_gone(site, "lost")


def test_a_ca_that_cannot_be_used_is_waited_for(site: Site, tmp_path: Path) -> None:
    ca = authority("Broken CA")
    site.kubectl.apply(
        ca.secret("broken"), issuer("broken", ca={"secretName": "broken", "crl": {"secretName": "broken-crl"}})
    )
    certificate = ask(site, "stuck", "broken", revocation=ON_DELETE)
    site.kubectl("delete", "secret", "broken")
    site.wait_condition("broken", "Ready", "SecretNotFound", "issuer")
    site.kubectl("delete", REQUEST, "stuck", "--wait=false")
    waiting = site.wait_condition("stuck", "Reconciling", "RevocationPending")
    missing = f"Secret {site.kubectl.namespace}/broken, named in spec.ca.secretName, does not exist"
    assert f"broken is not ready: {missing}" in waiting["message"]

    site.kubectl.apply(ca.secret("broken"))

    wait_gone(site, "stuck")
    assert checked(tmp_path, certificate, crl(site, "broken-crl"), ca) == "certificate revoked"


def test_nobody_has_the_certificate_of_another_revoked(site: Site, tmp_path: Path) -> None:
    """Whoever may write to a Secret and delete a request has only the certificates of that request to lose."""
    victim = ask(site, "victim")
    entry = {"issuer": "Issuer/revoking", "notAfter": "2099-01-01T00:00:00Z"}
    der = base64.b64encode(base64.b64decode("".join(victim.split("-----")[2].split()))).decode()
    proof = base64.b64encode(base64.b64decode("".join(site.status("victim")["csr"].split("-----")[2].split()))).decode()
    forged = json.dumps([{**entry, "certificate": der, "proof": proof}])

    ask(site, "thief", revocation=ON_DELETE)
    with site.operator_away():
        stolen = {"data": {"tls.crt": base64.b64encode(victim.encode()).decode()}}
        patch = json.dumps({**stolen, "metadata": {"annotations": {OWED: forged}}})
        site.kubectl("patch", "secret", "thief-tls", "--field-manager=csr-operator", "-p", patch)
        site.kubectl("delete", REQUEST, "thief", "--wait=false")

    wait_gone(site, "thief")
    assert checked(tmp_path, victim, crl(site)) == "OK"
    told = wait_until("it is told", lambda: events(site, "thief", "NotRevoked"))
    assert all(note.endswith("was not revoked: Secret thief-tls no longer holds it") for note in told)
