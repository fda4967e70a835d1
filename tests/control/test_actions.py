"""What becomes of each action: what is asked of the CA, what is written, what its user is told, what is remembered."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from csr_operator.api.keys import Kind, SecretKey
from csr_operator.api.parse_secret import parse_staged
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.control.issuers import KnownIssuer
from csr_operator.decisions.actions import Adopt, Discard, Hold, Issue, Keep, LetGo, Restore, Resume
from csr_operator.issuance.failures import Failed
from csr_operator.issuance.secret_body import staging_key
from csr_operator.issuance.signing_requests import NeedsKey
from csr_operator.kube.resources import SECRETS, WATCHED
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Renewal, Traits
from csr_operator.plugin.context import Context
from tests.control.parts import NAMESPACE, Parts, after, running
from tests.support.authorities import authority, opaque

PAIR = authority("CA")
CA_SECRET = SecretKey(NAMESPACE, "ca-key")


class Slow(Backend):
    """A CA that has its orders looked at, by hand or not, and signs as `signer` does."""

    traits = Traits(costs=True, abandons=True, suggests_renewal=True)

    def __init__(self, signer: Backend, *, by_user: bool) -> None:
        self._signer = signer
        self._pending = Pending("42", timedelta(seconds=5), "order 42 is looked at", by_user)
        self.is_done = False
        self.asked: Callable[[], None] = lambda: None

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> "Slow":
        raise NotImplementedError

    async def check(self) -> Health:
        return await self._signer.check()

    async def submit(self, order: Order) -> Issued | Pending:
        self.asked()
        return await self.poll(order, "42")

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        if not self.is_done:
            return self._pending
        issued = await self._signer.submit(order)
        assert isinstance(issued, Issued)
        begins = issued.certificates[0].not_valid_before_utc + timedelta(days=30)
        renewal = Renewal(begins, begins + timedelta(days=1), ask_after=timedelta(hours=6))
        return replace(issued, reference=handle, renewal=renewal)

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        return None

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        raise NotImplementedError


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running() as parts:
        yield parts


async def add_ca(parts: Parts) -> KnownIssuer:
    parts.put_secret(PAIR.secret("ca-key"))
    return await parts.add_issuer("ca", ca={"secretName": "ca-key", "backdate": "0s"})


async def add_slow_ca(parts: Parts, *, by_user: bool = False) -> Slow:
    known = await add_ca(parts)
    assert known.backend is not None
    known.backend = slow = Slow(known.backend, by_user=by_user)
    await parts.issuers.check(known.issuer.key)
    return slow


def secret(parts: Parts, request: CertificateRequest) -> SecretMeta:
    found = parts.scene.store.own_secret(request)
    assert found is not None
    return found


def order(parts: Parts, request: CertificateRequest) -> Staged:
    found = parts.scene.store.staged(request)
    assert found is not None
    return found


def certificate(parts: Parts, request: CertificateRequest) -> x509.Certificate:
    return x509.load_pem_x509_certificates(parts.api.data(request.secret)["tls.crt"])[0]


def has_secret(parts: Parts, key: SecretKey) -> bool:
    return parts.api.secret(key) is not None


# A certificate.


async def test_the_first_certificate_is_stored_and_costs_no_event(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask()
    csr = await parts.perform(request, await parts.decide(request))
    assert csr is not None
    assert x509.load_pem_x509_csr(csr.encode()).public_key() == certificate(parts, request).public_key()
    assert secret(parts, request).record is not None
    assert isinstance(await parts.decide(request), Keep)
    await parts.events.drain()
    assert parts.api.events == []


async def test_any_further_one_is_told_with_its_reason(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    await parts.settle(parts.change(request, spec={"dnsNames": ["other.example.com"]}))
    assert await parts.told("Issued") == ["revision 2, because of SpecChanged"]
    (event,) = parts.api.events
    assert event["action"] == "SpecChanged"


async def test_that_it_is_the_ca_that_asked_for_a_renewal_is_told(parts: Parts) -> None:
    slow = await add_slow_ca(parts)
    request = parts.ask(renewBefore="720h")
    for _ in range(2):
        await parts.settle(request)
        slow.is_done = True
        after(parts.scene, seconds=5)
        await parts.settle(request)
        slow.is_done = False
        after(parts.scene, days=31)
    (note,) = await parts.told("Issued")
    assert note.startswith("revision 2, because of Renewal, at the time that the CA asks for")


async def test_a_replaced_one_that_cannot_be_revoked_is_told(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask(revocation={"onRotation": True})
    await parts.settle(request)
    await parts.settle(parts.change(request, spec={"dnsNames": ["other.example.com"]}))
    (note,) = await parts.told("NotRevoked")
    assert "Issuer n/ca cannot revoke" in note


async def test_that_it_is_lost_what_was_to_be_revoked_is_told(parts: Parts) -> None:
    """Somebody put another certificate into the Secret."""
    await parts.add_revoking_ca(PAIR)
    request = parts.ask(revocation={"onRotation": True})
    await parts.settle(request)
    record = secret(parts, request).record
    assert record is not None
    changed = parts.change(parts.watch("www"), spec={"dnsNames": ["other.example.com"]})
    action = await parts.settle(changed, until=Issue)
    parts.api.objects[SECRETS.path(*request.secret)]["data"]["tls.crt"] = "bm9uZQ=="
    await parts.perform(parts.watch("www"), action)
    assert await parts.told("NotRevoked") == [
        f"the certificate {record.serial_number} was not revoked: Secret www-tls no longer holds it"
    ]


async def test_a_key_that_was_to_be_kept_is_not_if_its_certificate_is_revoked(parts: Parts) -> None:
    await parts.add_revoking_ca(PAIR)
    request = parts.ask(privateKey={"rotationPolicy": "Never"})
    await parts.settle(request)
    key = certificate(parts, request).public_key()
    renewed = parts.change(parts.watch("www"), annotations={"csr-operator.dev/renew": "now"})
    await parts.settle(renewed)
    assert certificate(parts, request).public_key() == key

    record = secret(parts, request).record
    assert record is not None
    annotations = {"csr-operator.dev/renew": "now", "csr-operator.dev/revoke": f"{record.serial_number} keyCompromise"}
    await parts.settle(parts.change(parts.watch("www"), annotations=annotations))
    assert certificate(parts, request).public_key() != key


async def test_a_key_that_takes_long_is_made_beforehand(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask(privateKey={"algorithm": "RSA"})
    action = await parts.decide(request)
    with pytest.raises(NeedsKey):
        await parts.perform(request, action)
    assert not has_secret(parts, request.secret)
    key = generate(KeyParameters(KeyAlgorithm.RSA))
    await parts.perform(request, action, key)
    assert certificate(parts, request).public_key() == key.public_key()


async def test_how_many_were_replaced_early_is_on_record(parts: Parts) -> None:
    """By that they are slowed down."""
    await add_ca(parts)
    request = parts.ask()
    await parts.perform(request, Issue(Reason.SECRET_MISSING, 2, request.issuers[0], hurries=3))
    record = secret(parts, request).record
    assert record is not None
    assert record.hurries == 3


async def test_an_issuer_that_reads_the_secret_is_looked_at_again(parts: Parts) -> None:
    key = parts.watch_issuer("below", ca={"secretName": "www-tls"})
    await parts.issuers.check(key)
    await add_ca(parts)
    request = parts.ask(isCA=True)
    parts.scene.woken.clear()
    await parts.settle(request)
    assert key in parts.scene.woken


# What is not to be written, or not any more.


async def test_nothing_is_signed_where_a_secret_is_there_that_no_watch_shows(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask()
    action = await parts.decide(request)
    parts.put_secret(opaque("www-tls", note="mine"))
    assert await parts.perform(request, action) is None
    assert parts.api.data(request.secret) == {"note": b"mine"}
    held = await parts.decide(request)
    assert isinstance(held, Hold)
    assert held.reason is Reason.SECRET_NOT_OWNED


@pytest.mark.parametrize("state", ["gone", "made anew", "going", "there"])
async def test_a_secret_that_went_is_made_again_only_for_a_request_that_is_still_there(
    parts: Parts, state: str
) -> None:
    """As they are collected together, and each watch tells of it when it does."""
    await add_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    del parts.api.objects[SECRETS.path(*request.secret)]
    parts.scene.store.drop_secret(request.secret)
    action = await parts.decide(request)
    assert isinstance(action, Issue)
    path = WATCHED[Kind.CERTIFICATE_REQUEST].path(NAMESPACE, "www")
    if state == "gone":
        del parts.api.objects[path]
    elif state == "made anew":
        parts.api.objects[path]["metadata"]["uid"] = "another"
    elif state == "going":
        parts.api.objects[path]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    await parts.perform(request, action)

    assert has_secret(parts, request.secret) == (state == "there")
    assert [gone.name for gone in parts.gone] == (["www"] if state in ("gone", "made anew") else [])
    assert [obj["metadata"]["name"] for obj in parts.shown] == (["www"] if state == "going" else [])


@pytest.mark.parametrize("is_going", [True, False])
async def test_a_deleted_secret_is_let_go_unless_its_request_goes_as_well(parts: Parts, is_going: bool) -> None:
    """Then the certificate is revoked first."""
    await parts.add_revoking_ca(PAIR)
    request = parts.ask(revocation={"onDelete": True})
    await parts.settle(request)
    request = parts.watch("www")
    there = parts.api.objects[SECRETS.path(*request.secret)]
    there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    parts.scene.store.put_secret(replace(secret(parts, request), deleted=True, resource_version="9999"))
    if is_going:
        parts.there(request)["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert await parts.decide(request) == LetGo()
    await parts.perform(request, LetGo())
    assert has_secret(parts, request.secret) == is_going


# An order that takes time.


async def test_an_order_is_kept_before_the_ca_is_asked_and_what_it_said_is_remembered(parts: Parts) -> None:
    await add_slow_ca(parts)
    request = parts.ask()
    csr = await parts.perform(request, await parts.decide(request))
    staged = order(parts, request)
    assert parts.api.data(staged.key)["tls.csr"].decode() == csr
    assert staged.handle == "42"
    held = await parts.decide(request)
    assert held == Hold.of(Reason.PENDING, "order 42 is looked at", until=parts.scene.now + timedelta(seconds=5))
    after(parts.scene, seconds=5)
    assert isinstance(await parts.decide(request), Resume)
    after(parts.scene, days=-1)  # the clock was put back, and nobody knows how long five seconds are
    assert isinstance(await parts.decide(request), Resume)


async def test_an_order_that_the_ca_still_looks_at_is_asked_about_again_later(parts: Parts) -> None:
    await add_slow_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    before = order(parts, request)
    after(parts.scene, seconds=5)
    held = await parts.settle(request)
    assert held == Hold.of(Reason.PENDING, "order 42 is looked at", until=parts.scene.now + timedelta(seconds=5))
    assert order(parts, request) == before


class Restless(Slow):
    """Has another handle, and another text, for its order each second."""

    looks = 0

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        self.looks += 1
        return Pending(f"{self.looks}", timedelta(seconds=1), f"look {self.looks}")


async def test_an_order_that_moves_all_the_time_is_looked_at_more_rarely(parts: Parts) -> None:
    known = await add_ca(parts)
    assert known.backend is not None
    known.backend = restless = Restless(known.backend, by_user=False)
    await parts.issuers.check(known.issuer.key)
    request, begin = parts.ask(), parts.scene.now
    for _ in range(100):
        held = await parts.settle(request)
        assert isinstance(held, Hold)
        assert held.until is not None
        parts.scene.now = held.until
    assert parts.scene.now - begin > timedelta(minutes=30)
    assert order(parts, request).handle == f"{restless.looks}"  # what is kept is what the CA told last


async def test_what_a_person_has_to_do_is_reminded_of_in_a_day(parts: Parts) -> None:
    await add_slow_ca(parts, by_user=True)
    request = parts.ask()
    held = await parts.settle(request)
    assert isinstance(held, Hold)
    assert held.reason is Reason.ACTION_REQUIRED
    waiting = parts.scene.memory.recall(request).waiting
    assert waiting is not None
    assert waiting.remind_at == parts.scene.now + timedelta(days=1)


async def test_what_came_of_an_order_is_stored_and_the_order_is_gone(parts: Parts) -> None:
    slow = await add_slow_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    slow.is_done = True
    after(parts.scene, seconds=5)
    await parts.settle(request)
    record = secret(parts, request).record
    assert record is not None
    assert record.reference == "42"
    assert not has_secret(parts, staging_key(request))
    assert parts.scene.store.staged(request) is None
    assert parts.scene.memory.recall(request).waiting is None
    states = {key: known.state for key in request.issuers if (known := parts.issuers.get(key)) and known.state}
    assert parts.advice.due(request, secret(parts, request), states) == parts.scene.now + timedelta(hours=6)


async def test_an_order_that_was_answered_at_once_is_not_deleted_again_when_the_watch_tells_of_it(parts: Parts) -> None:
    slow = await add_slow_ca(parts)
    slow.is_done = True
    request, kept = parts.ask(), list[dict[str, Any] | None]()
    slow.asked = lambda: kept.append(deepcopy(parts.api.secret(staging_key(request))))
    await parts.settle(request)
    assert kept[0] is not None
    staged = parse_staged(kept[0], parts.seal)
    assert staged is not None
    parts.scene.store.saw_secret(staged)
    assert isinstance(await parts.decide(parts.watch("www")), Keep)


@pytest.mark.parametrize("trouble", [True, False])
async def test_the_end_of_a_long_wait_is_an_event_where_trouble_had_the_last_word(parts: Parts, trouble: bool) -> None:
    slow = await add_slow_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    if trouble:
        text = "the CA is away"
        await parts.reports.write_status(request, Hold.of(Reason.ISSUER_UNAVAILABLE, text))
        request = parts.watch("www")
    slow.is_done = True
    after(parts.scene, seconds=5)
    await parts.settle(request)
    assert await parts.told("Issued") == (["revision 1"] if trouble else [])


async def test_the_end_of_a_short_one_is_none(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask()
    await parts.reports.write_status(request, Hold.of(Reason.ISSUER_UNAVAILABLE, "the CA is away"))
    await parts.settle(parts.watch("www"))
    assert await parts.told("Issued") == []


async def test_an_order_whose_secret_went_is_placed_anew(parts: Parts) -> None:
    await add_slow_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    gone = order(parts, request)
    del parts.api.objects[SECRETS.path(*gone.key)]
    after(parts.scene, seconds=5)
    action = await parts.decide(request)
    assert isinstance(action, Resume)
    assert await parts.perform(request, action) is None
    going = order(parts, request)
    assert going.deleted  # it left traces, and stays until the watch shows that it is gone
    parts.scene.store.saw_no_secret(gone.key, "9999")
    assert isinstance(await parts.decide(request), Issue)


async def test_an_order_that_is_given_up_stays_until_it_is_taken_back(parts: Parts) -> None:
    await add_slow_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    changed = parts.change(request, spec={"dnsNames": ["other.example.com"]})
    assert await parts.decide(changed) == Discard()
    await parts.perform(changed, Discard())
    assert has_secret(parts, staging_key(request))  # a finalizer holds it
    held = await parts.decide(changed)
    assert isinstance(held, Hold)
    assert held.reason is Reason.ABANDONING_ORDER
    assert await parts.told("StateNotAuthentic") == []


async def test_one_that_leaves_no_traces_makes_room_at_once(parts: Parts) -> None:
    await parts.add_issuer("ca", manual={})
    request = parts.ask()
    await parts.settle(request)
    changed = parts.change(request, spec={"dnsNames": ["other.example.com"]})
    await parts.perform(changed, await parts.decide(changed))
    assert not has_secret(parts, staging_key(request))
    assert isinstance(await parts.decide(changed), Issue)


async def test_an_order_that_somebody_else_wrote_is_deleted_which_is_told(parts: Parts) -> None:
    await parts.add_issuer("ca", manual={})
    request = parts.ask()
    await parts.settle(request)
    parts.scene.store.put_secret(replace(order(parts, request), authentic=False, resource_version="9999"))
    await parts.perform(request, await parts.decide(request))
    assert not has_secret(parts, staging_key(request))
    (note,) = await parts.told("StateNotAuthentic")
    assert "was written by somebody else" in note
    assert "the next has another CSR" in note


# A Secret that somebody changed, or that is somebody else's.


async def test_a_secret_is_put_right_with_the_same_certificate(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    before = certificate(parts, request)
    there = parts.api.objects[SECRETS.path(*request.secret)]
    del there["data"]["ca.crt"]
    there["metadata"]["managedFields"][0]["fieldsV1"]["f:data"].pop("f:ca.crt")
    known = secret(parts, request)
    intact = known.intact_data - {"ca.crt"}
    parts.scene.store.put_secret(replace(known, intact_data=intact, resource_version="9999"))
    there["metadata"]["resourceVersion"] = "9999"
    parts.api._version = 9999
    action = await parts.decide(request)
    assert isinstance(action, Restore)
    await parts.perform(request, action)
    assert certificate(parts, request) == before
    assert "ca.crt" in parts.api.data(request.secret)
    await parts.events.drain()
    assert parts.api.events == []


async def test_what_does_not_serve_any_more_is_issued_anew(parts: Parts) -> None:
    await add_ca(parts)
    request = parts.ask()
    await parts.settle(request)
    parts.api.objects[SECRETS.path(*request.secret)]["data"]["tls.key"] = "bm9uZQ=="
    assert await parts.perform(request, Restore(1)) is None
    action = await parts.decide(request)
    assert isinstance(action, Issue)
    assert action.reason is Reason.SECRET_DAMAGED


async def test_a_secret_that_is_left_to_a_request_is_taken_over_which_is_told(parts: Parts) -> None:
    await add_ca(parts)
    first = parts.ask(deletionPolicy="Retain")
    await parts.settle(first)
    before = certificate(parts, first)
    parts.scene.store.drop_secret(first.secret)
    parts.scene.store.drop_request(first.key, first.uid)
    del parts.api.objects[WATCHED[Kind.CERTIFICATE_REQUEST].path(NAMESPACE, "www")]
    metadata = parts.api.objects[SECRETS.path(*first.secret)]["metadata"]
    metadata["annotations"] |= {"csr-operator.dev/retained-for": ""}

    second = parts.ask()
    action = await parts.settle(second, until=Adopt | Issue)
    assert action == Issue(Reason.SECRET_MISSING, 1, second.issuers[0])
    assert await parts.perform(second, action) is None
    assert await parts.decide(second) == Adopt()
    now = asyncio.get_running_loop().time()
    for _ in range(4):
        parts.repairs.note(second.key, now)
    await parts.perform(second, Adopt())

    assert parts.repairs.wait(second.key, now) > 0  # who has it taken over again and again is slowed down
    assert certificate(parts, second) == before
    (note,) = await parts.told("Adopted")
    assert note.startswith("Secret www-tls with its certificate ")
    assert isinstance(await parts.decide(second), Keep)


async def test_what_is_not_what_was_asked_for_is_not_taken_over_and_looked_at_again(parts: Parts) -> None:
    await add_ca(parts)
    secret = opaque("www-tls", "kubernetes.io/tls", **{"tls.crt": PAIR.certificate, "tls.key": PAIR.key})
    secret["metadata"]["annotations"] = {"csr-operator.dev/adopt": "www"}
    parts.put_secret(secret)
    request = parts.ask()
    assert await parts.perform(request, await parts.decide(request)) is None
    with pytest.raises(Failed, match="is not taken over"):
        await parts.perform(request, await parts.decide(request))
    assert parts.api.data(request.secret)["tls.crt"].decode() == PAIR.certificate

    parts.api.objects.pop(SECRETS.path(*request.secret))
    assert isinstance(await parts.decide(request), Issue)
