"""What is revoked, what the user is told of what is not, and what waits until it is done."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from csr_operator.api.keys import Kind, SecretKey
from csr_operator.api.names import OWED_ANNOTATION, REVOCATION_FINALIZER
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.decisions.actions import Forget, Issue, Release, Revoke
from csr_operator.issuance.failures import Failed
from csr_operator.kube.errors import KubeError
from csr_operator.kube.resources import SECRETS, WATCHED
from csr_operator.pki.fingerprint import serial_octets
from tests.control.parts import NAMESPACE, Parts, after, running
from tests.support.authorities import authority

PAIR, OTHER = authority("CA"), authority("CA")
WWW = WATCHED[Kind.CERTIFICATE_REQUEST].path(NAMESPACE, "www")
ON_DELETE, ON_ROTATION = {"onDelete": True}, {"onRotation": True}


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running() as parts:
        yield parts


def serial(parts: Parts, secret: str = "www-tls") -> str:
    """Of the certificate in a Secret."""
    return serial_octets(x509.load_pem_x509_certificates(parts.api.data(SecretKey(NAMESPACE, secret))["tls.crt"])[0])


def listed(parts: Parts, secret: str = "ca-crl") -> set[str]:
    """The serial numbers on a revocation list."""
    crl = x509.load_pem_x509_crl(parts.api.data(SecretKey(NAMESPACE, secret))["ca.crl"])
    return {_octets(entry.serial_number) for entry in crl}


def _octets(number: int) -> str:
    text = f"{number:X}"
    return text.zfill(len(text) + len(text) % 2)


def secret(parts: Parts, request: CertificateRequest) -> SecretMeta:
    found = parts.scene.store.own_secret(request)
    assert found is not None
    return found


def record(parts: Parts, request: CertificateRequest) -> Record:
    found = secret(parts, request).record
    assert found is not None
    return found


def finalizers(parts: Parts, request: CertificateRequest) -> tuple[list[str], list[str]]:
    """Of the request, and of its Secret."""
    return parts.there(request)["metadata"].get("finalizers", []), finalizers_of_secret(parts)


def finalizers_of_secret(parts: Parts) -> list[str]:
    found = parts.api.secret(SecretKey(NAMESPACE, "www-tls"))
    assert found is not None
    return list(found["metadata"].get("finalizers", []))


async def issued(parts: Parts, **spec: Any) -> CertificateRequest:
    """With its certificate, as the watch shows it then."""
    await parts.settle(parts.ask(**spec))
    return parts.watch("www")


async def owing(parts: Parts) -> tuple[CertificateRequest, str]:
    """One whose certificate was replaced, and the serial number of what is to be revoked now."""
    request = await issued(parts, revocation=ON_ROTATION)
    old = serial(parts)
    changed = parts.change(request, spec={"dnsNames": ["other.example.com"]})
    await parts.settle(changed, until=Revoke)
    return parts.watch("www"), old


# Done.


async def test_what_is_in_use_is_revoked_before_the_request_goes_and_nothing_waits_any_more(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation=ON_DELETE)
    number = serial(parts)
    assert finalizers(parts, request) == ([REVOCATION_FINALIZER], [REVOCATION_FINALIZER])

    going = parts.delete(request)
    await parts.perform(going, await parts.decide(going))

    assert listed(parts) == {number}
    assert await parts.told("Revoked") == [f"Issuer/ca revoked the certificate {number}"]
    assert await parts.told("NotRevoked") == []
    assert WWW not in parts.api.objects
    assert finalizers_of_secret(parts) == []


async def test_what_was_replaced_is_revoked_and_the_certificate_in_use_is_not(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request, old = await owing(parts)
    await parts.perform(request, await parts.decide(request))
    assert listed(parts) == {old}
    assert secret(parts, request).debts == ()
    there = parts.api.secret(request.secret)
    assert there is not None
    assert OWED_ANNOTATION not in there["metadata"]["annotations"]
    assert not isinstance(await parts.decide(request), Revoke)


async def test_what_a_ca_will_never_revoke_is_told_and_not_owed_any_more(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request, old = await owing(parts)
    parts.put_secret(OTHER.secret("ca-key"))
    await parts.issuers.check(issuer.issuer.key)
    await parts.perform(request, Revoke(issuer.issuer.key))
    (note,) = await parts.told("NotRevoked")
    assert note.startswith(f"the certificate {old} was not revoked: ")
    assert "another key" in note
    assert secret(parts, request).debts == ()


# Given up.


async def test_what_its_user_gives_up_is_forgotten_in_silence(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request, _ = await owing(parts)
    assert issuer.state is not None
    issuer.state = replace(issuer.state, revokes=False)
    given_up = parts.change(request, annotations={"csr-operator.dev/abandon-revocation": "true"})
    assert await parts.decide(given_up) == Forget()
    await parts.perform(given_up, Forget())
    assert secret(parts, request).debts == ()
    assert await parts.told("NotRevoked") == []


async def test_what_the_ca_cannot_revoke_any_more_is_told_once_it_is_forgotten(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request, old = await owing(parts)
    assert issuer.state is not None
    issuer.state = replace(issuer.state, revokes=False)
    await parts.perform(request, Forget())
    (note,) = await parts.told("NotRevoked")
    assert note.startswith(f"the certificate {old} was not revoked: Issuer n/ca cannot revoke")
    assert "spec.ca.crl.secretName" in note


async def test_what_has_expired_need_not_be_told(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request, _ = await owing(parts)
    assert issuer.state is not None
    issuer.state = replace(issuer.state, revokes=False)
    after(parts.scene, days=91)
    await parts.perform(request, Forget())
    assert secret(parts, request).debts == ()
    assert await parts.told("NotRevoked") == []


# What waits.


async def test_the_request_is_held_before_the_secret_and_both_by_the_same_name(parts: Parts) -> None:
    await parts.add_issuer()
    request = await issued(parts)
    await parts.revocations.guard(request, secret(parts, request))
    assert finalizers(parts, request) == ([REVOCATION_FINALIZER], [])
    request = parts.watch("www")
    await parts.revocations.guard(request, secret(parts, request))
    assert finalizers(parts, request) == ([REVOCATION_FINALIZER], [REVOCATION_FINALIZER])
    assert secret(parts, request).guarded


async def test_the_finalizers_of_others_stay(parts: Parts) -> None:
    await parts.add_issuer()
    request = parts.change(await issued(parts), finalizers=["example.com/mine"])
    await parts.revocations.guard(request, None)
    request = parts.watch("www")
    assert request.finalizers == ("example.com/mine", REVOCATION_FINALIZER)
    await parts.revocations.release(request)
    assert parts.watch("www").finalizers == ("example.com/mine",)


async def test_a_secret_that_is_going_already_cannot_be_held(parts: Parts) -> None:
    await parts.add_issuer()
    request = await issued(parts)
    await parts.revocations.guard(request, None)
    request, before = parts.watch("www"), secret(parts, request)
    del parts.api.objects[SECRETS.path(NAMESPACE, "www-tls")]
    await parts.revocations.guard(request, before)
    assert not secret(parts, request).guarded


@pytest.mark.parametrize("changed", [True, False], ids=["changed", "gone"])
async def test_one_that_is_another_by_now_keeps_its_secret_and_nothing_is_told(parts: Parts, changed: bool) -> None:
    """What the watch is about to show is looked at first."""
    await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation=ON_DELETE)
    if changed:
        parts.change(request, labels={"team": "web"})
    else:
        del parts.api.objects[WWW]
    await parts.revocations.release(request, "the certificate 1 was not revoked: it is lost")
    assert finalizers_of_secret(parts) == [REVOCATION_FINALIZER]
    assert await parts.told("NotRevoked") == []


async def test_whatever_else_the_api_server_says_is_tried_again(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation=ON_DELETE)
    parts.api.refuses[WWW] = 500
    with pytest.raises(KubeError):
        await parts.revocations.release(request, "the certificate 1 was not revoked: it is lost")
    assert finalizers_of_secret(parts) == [REVOCATION_FINALIZER]


async def test_what_stays_valid_is_told_when_the_request_is_let_go(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = parts.delete(await issued(parts, revocation=ON_DELETE))
    await parts.perform(request, Release("the certificate 1 was not revoked: it is lost"))
    assert finalizers_of_secret(parts) == []
    assert await parts.told("NotRevoked") == ["the certificate 1 was not revoked: it is lost"]


# A Secret that is let go alone.


async def test_a_secret_that_was_deleted_takes_what_it_owes_with_it_which_is_told(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation={**ON_DELETE, **ON_ROTATION})
    old = serial(parts)
    changed = parts.change(request, spec={"dnsNames": ["other.example.com"]})
    await parts.perform(changed, await parts.settle(changed, until=Issue))
    parts.api.objects[SECRETS.path(NAMESPACE, "www-tls")]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    deleted = replace(secret(parts, changed), deleted=True)

    await parts.revocations.release_secret(changed, deleted)

    assert parts.api.secret(changed.secret) is None
    assert await parts.told("NotRevoked") == [
        f"the certificate {old} was not revoked: Secret www-tls, which recorded the revocation, was deleted"
    ]
    assert listed(parts) == set()
    assert issuer.is_ready


async def test_in_a_namespace_that_goes_it_waits_for_its_request(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation=ON_DELETE)
    parts.put_namespace(deletionTimestamp="2026-01-01T00:00:00Z")
    with pytest.raises(KubeError, match="namespace n is being deleted"):
        await parts.revocations.release_secret(request, replace(secret(parts, request), deleted=True))
    assert finalizers_of_secret(parts) == [REVOCATION_FINALIZER]


async def test_one_that_is_not_deleted_only_loses_its_finalizer(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation=ON_DELETE)
    await parts.revocations.release_secret(request, secret(parts, request))
    assert finalizers_of_secret(parts) == []
    assert not secret(parts, request).guarded
    assert await parts.told("NotRevoked") == []


async def test_one_that_went_just_now_is_looked_at_as_the_watch_shows_it(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = await issued(parts, revocation=ON_DELETE)
    del parts.api.objects[SECRETS.path(NAMESPACE, "www-tls")]
    with pytest.raises(KubeError, match="is gone"):
        await parts.revocations.release_secret(request, secret(parts, request))


# What cannot be revoked.


async def test_a_replaced_certificate_of_a_ca_that_does_not_revoke_is_told_where_that_was_wanted(parts: Parts) -> None:
    await parts.add_issuer()
    request = await issued(parts, revocation=ON_ROTATION)
    before = record(parts, request)
    parts.revocations.tell_of_replaced(request, before)
    (note,) = await parts.told("NotRevoked")
    assert f"the certificate {before.serial_number} was not revoked: Issuer n/ca cannot revoke" in note

    unwanted = replace(
        request, spec=replace(request.spec, revocation=replace(request.spec.revocation, on_rotation=False))
    )
    parts.revocations.tell_of_replaced(unwanted, before)
    assert len(await parts.told("NotRevoked")) == 1
    wished = replace(unwanted, wishes=replace(unwanted.wishes, revoke=before.serial_number))
    parts.revocations.tell_of_replaced(wished, before)
    assert len(await parts.told("NotRevoked")) == 2


@pytest.mark.parametrize(
    ("wanted", "revokes", "told"),
    [(True, False, 1), (True, True, 0), (False, False, 0)],
    ids=["cannot be", "can be", "is not wanted"],
)
async def test_of_a_request_that_is_gone_what_stays_valid_is_told(
    parts: Parts, wanted: bool, revokes: bool, told: int
) -> None:
    await (parts.add_revoking_ca(PAIR) if revokes else parts.add_issuer())
    request = await issued(parts, revocation={"onDelete": wanted})
    parts.revocations.tell_what_stays_valid(request)
    notes = await parts.told("NotRevoked")
    assert len(notes) == told
    assert all(serial(parts) in note for note in notes)


@pytest.mark.parametrize(
    ("not_after", "number", "told"),
    [("2999-01-01T00:00:00Z", "01", 1), ("2001-01-01T00:00:00Z", "01", 0), ("", "", 0), ("nonsense", "01", 0)],
    ids=["valid", "expired", "none", "not readable"],
)
async def test_also_where_its_secret_went_first(parts: Parts, not_after: str, number: str, told: int) -> None:
    """By its status then, where anything may stand."""
    await parts.add_issuer()
    request = parts.ask(revocation=ON_DELETE)
    request = replace(request, status=replace(request.status, serial_number=number, not_after=not_after))
    parts.revocations.tell_what_stays_valid(request)
    assert len(await parts.told("NotRevoked")) == told


async def test_what_a_ca_that_is_gone_could_do_is_not_known_and_nothing_is_claimed(parts: Parts) -> None:
    issuer = await parts.add_issuer()
    request = await issued(parts, revocation=ON_DELETE)
    parts.issuers._live.pop(issuer.issuer.key)
    parts.revocations.tell_what_stays_valid(request)
    assert await parts.told("NotRevoked") == []


async def test_what_could_not_be_revoked_now_is_still_owed(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request, old = await owing(parts)
    parts.api.refuses[SECRETS.path(NAMESPACE, "ca-crl")] = 500
    with pytest.raises(Failed, match="Secret n/ca-crl: refused"):
        await parts.perform(request, Revoke(issuer.issuer.key))
    assert [debt.issuer for debt in secret(parts, request).debts] == ["Issuer/ca"]
    assert await parts.told("NotRevoked") == []

    del parts.api.refuses[SECRETS.path(NAMESPACE, "ca-crl")]
    await parts.perform(request, await parts.decide(request))
    assert listed(parts) == {old}
