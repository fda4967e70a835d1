"""What is to be revoked at rotation, at deletion or because somebody says so is on the CA's list for whoever checks."""

import re
from pathlib import Path

import pytest

from tests.support.kubectl import wait_until
from tests.support.manifests import request
from tests.support.revocation import (
    FINALIZER,
    GROUP,
    ON_DELETE,
    ON_ROTATION,
    OWED,
    ask,
    checked,
    crl,
    crl_text,
    events,
    finalizers,
    make_revoking_ca,
    number,
    renew,
    serial,
    wait_revoked,
)
from tests.support.site import REQUEST, Site, decoded


@pytest.fixture(scope="module", autouse=True)
def revoking(site: Site) -> None:
    make_revoking_ca(site)


def test_what_was_replaced_is_revoked(site: Site, tmp_path: Path) -> None:
    old = ask(site, "rotated", revocation=ON_ROTATION)
    before = number(crl(site))

    renew(site, "rotated")

    wait_revoked(site, tmp_path, old)
    assert f"Serial Number: {serial(old)}" in crl_text(crl(site))
    assert "X509v3 CRL Reason Code: Superseded" in crl_text(crl(site))
    assert number(crl(site)) > before
    status = site.wait_status("rotated", revision=2)
    wait_until("the request is released", lambda: finalizers(site, "rotated") == [])
    secret = site.kubectl.get("secret", "rotated-tls")
    assert OWED not in secret["metadata"]["annotations"]
    assert checked(tmp_path, decoded(secret)["tls.crt"], crl(site)) == "OK"
    assert [c["type"] for c in status["conditions"]] == ["Ready"]
    assert events(site, "rotated", "Revoked") == [f"Issuer/revoking revoked the certificate {serial(old)}"]


def test_what_is_deleted_is_revoked_first(site: Site, tmp_path: Path) -> None:
    certificate = ask(site, "deleted", revocation=ON_DELETE)
    assert finalizers(site, "deleted") == [FINALIZER]

    site.kubectl("delete", REQUEST, "deleted", "--timeout=30s")

    assert checked(tmp_path, certificate, crl(site)) == "certificate revoked"
    assert "Cessation Of Operation" in crl_text(crl(site))


def test_both_the_present_one_and_what_it_replaced_are_revoked_at_the_end(site: Site, tmp_path: Path) -> None:
    first = ask(site, "both", revocation={**ON_DELETE, **ON_ROTATION})
    renew(site, "both")
    site.wait_status("both", revision=2)
    second = site.data("both-tls")["tls.crt"]

    site.kubectl("delete", REQUEST, "both", "--timeout=30s")

    for certificate in (first, second):
        assert checked(tmp_path, certificate, crl(site)) == "certificate revoked"


def test_revocation_can_be_asked_for_and_waived_later(site: Site) -> None:
    ask(site, "later")
    site.kubectl.apply(request("later", "revoking", revocation=ON_DELETE))
    wait_until("it is guarded", lambda: finalizers(site, "later") == [FINALIZER])
    site.kubectl.apply(request("later", "revoking"))
    wait_until("it is released", lambda: finalizers(site, "later") == [])
    assert site.status("later")["revision"] == 1


@pytest.mark.parametrize("how", ["background", "foreground"])
def test_an_issuer_that_cannot_revoke_holds_nothing_up_and_that_is_told(site: Site, how: str) -> None:
    name = f"own-{how}"
    cannot = f"Issuer {site.kubectl.namespace}/root cannot revoke (its backend is selfSigned): "
    certificates = [ask(site, name, "root", revocation={**ON_DELETE, **ON_ROTATION})]
    assert f"; spec.revocation has no effect: {cannot}" in site.wait_condition(name, "Ready", "Issued")["message"]
    renew(site, name)
    site.wait_status(name, revision=2)
    certificates.append(site.data(f"{name}-tls")["tls.crt"])
    assert finalizers(site, name) == []

    site.kubectl("delete", REQUEST, name, f"--cascade={how}", "--timeout=30s")

    wait_until("both are told of", lambda: len(events(site, name, "NotRevoked")) == 2)
    told = events(site, name, "NotRevoked")
    for certificate in certificates:
        note = f"the certificate {serial(certificate)} was not revoked: {cannot}"
        assert any(one.startswith(note) for one in told)
        assert note in site.operator.log.read_text()


def test_who_never_asked_for_a_revocation_is_told_of_none(site: Site) -> None:
    ask(site, "plain", "root")
    renew(site, "plain")
    message = site.wait_condition("plain", "Ready", "Issued")["message"]
    site.wait_status("plain", revision=2)
    site.kubectl("delete", REQUEST, "plain", "--timeout=30s")
    site.settle()
    assert "revo" not in message
    assert events(site, "plain", "NotRevoked") == []


def test_a_serial_number_revokes_that_certificate_once(site: Site, tmp_path: Path) -> None:
    old = ask(site, "leaked", privateKey={"algorithm": "ECDSA", "rotationPolicy": "Never"})
    key = site.data("leaked-tls")["tls.key"]
    colons = ":".join(re.findall("..", serial(old).lower()))

    site.kubectl("annotate", REQUEST, "leaked", f"{GROUP}/revoke={colons}")

    wait_revoked(site, tmp_path, old)
    site.wait_status("leaked", revision=2)
    assert site.data("leaked-tls")["tls.key"] != key, "the key that leaked is used again"
    wait_until("the request is released", lambda: finalizers(site, "leaked") == [])
    listed = number(crl(site))
    site.kubectl("annotate", REQUEST, "leaked", f"{GROUP}/revoke={serial(old)}", "--overwrite")
    site.settle()
    assert site.status("leaked")["revision"] == 2
    assert number(crl(site)) == listed
    # What the key's policy says holds again.
    key = site.data("leaked-tls")["tls.key"]
    renew(site, "leaked")
    site.wait_status("leaked", revision=3)
    assert site.data("leaked-tls")["tls.key"] == key


def test_where_nobody_can_revoke_the_certificate_is_replaced_and_that_is_told(site: Site) -> None:
    old = ask(site, "unrevoked", "root")
    site.kubectl("annotate", REQUEST, "unrevoked", f"{GROUP}/revoke={serial(old)}")
    site.wait_status("unrevoked", revision=2)
    [note] = wait_until("it is told", lambda: events(site, "unrevoked", "NotRevoked"))
    cannot = f"was not revoked: Issuer {site.kubectl.namespace}/root cannot revoke (its backend is selfSigned)"
    assert note.startswith(f"the certificate {serial(old)} {cannot}")
    assert note in site.operator.log.read_text()
