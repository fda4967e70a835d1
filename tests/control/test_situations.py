"""What a decision is made on, beside the request: also what no watch shows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.names import REVOCATION_FINALIZER
from csr_operator.api.reasons import Reason
from csr_operator.decisions.actions import Action, Adopt, Hold, Issue, Keep, Release, Revoke
from csr_operator.kube.resources import SECRETS
from tests.control.parts import NAMESPACE, Parts, after, running
from tests.support.authorities import authority, opaque

PAIR = authority("CA")
ONLY_PRODUCTION = {
    "default": "Deny",
    "rules": [{"name": "production", "namespaces": {"selector": {"matchLabels": {"stage": "production"}}}}],
}


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running() as parts:
        yield parts


def reason(action: Action) -> Reason:
    assert isinstance(action, Hold)
    return action.reason


async def test_nothing_is_decided_while_an_issuer_is_checked_for_the_first_time(parts: Parts) -> None:
    request, key = parts.ask(), parts.watch_issuer("ca")
    assert await parts.situations.decide(request) is None
    await parts.issuers.check(key)
    assert isinstance(await parts.decide(request), Issue)


async def test_the_issuer_of_the_other_kind_is_named_where_it_may_be_meant(parts: Parts) -> None:
    request = parts.ask()
    action = await parts.decide(request)
    assert isinstance(action, Hold)
    assert "ClusterIssuer" not in action.message

    await parts.add_issuer("ca", Kind.CLUSTER_ISSUER)
    action = await parts.decide(request)
    assert isinstance(action, Hold)
    assert "ClusterIssuer ca does: set spec.issuerRef.kind to ClusterIssuer" in action.message


@pytest.mark.parametrize(("stage", "allowed"), [("production", True), ("test", False)])
async def test_a_policy_goes_by_the_labels_of_the_namespace(parts: Parts, stage: str, allowed: bool) -> None:
    parts.put_namespace(labels={"stage": stage})
    await parts.add_issuer("ca", selfSigned={}, policy=ONLY_PRODUCTION)
    action = await parts.decide(parts.ask())
    assert isinstance(action, Issue) == allowed
    assert allowed or reason(action) is Reason.POLICY_DENIED


# Secrets that no watch shows.


async def test_a_secret_of_somebody_else_is_told_of_before_an_approval_is_asked_for(parts: Parts) -> None:
    parts.put_secret(opaque("www-tls", note="mine"))
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    assert reason(await parts.decide(parts.ask())) is Reason.SECRET_NOT_OWNED


async def test_without_one_it_is_looked_for_once(parts: Parts) -> None:
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    request = parts.ask()
    assert reason(await parts.decide(request)) is Reason.APPROVAL_PENDING
    parts.put_secret(opaque("www-tls", note="mine"))
    after(parts.scene, hours=1)
    assert reason(await parts.decide(request)) is Reason.APPROVAL_PENDING


async def test_one_that_holds_a_request_up_is_looked_at_again_after_a_while(parts: Parts) -> None:
    parts.put_secret(opaque("www-tls", note="mine"))
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    request = parts.ask()
    assert reason(await parts.decide(request)) is Reason.SECRET_NOT_OWNED
    del parts.api.objects[SECRETS.path(NAMESPACE, "www-tls")]
    after(parts.scene, seconds=29)
    assert reason(await parts.decide(request)) is Reason.SECRET_NOT_OWNED
    after(parts.scene, seconds=1)
    assert reason(await parts.decide(request)) is Reason.APPROVAL_PENDING


async def test_at_once_where_the_clock_was_put_back_or_it_is_about_to_be_written(parts: Parts) -> None:
    parts.put_secret(opaque("www-tls", note="mine"))
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    request = parts.ask()
    assert reason(await parts.decide(request)) is Reason.SECRET_NOT_OWNED
    del parts.api.objects[SECRETS.path(NAMESPACE, "www-tls")]
    parts.situations.outdate_look(request)
    assert reason(await parts.decide(request)) is Reason.APPROVAL_PENDING

    other = parts.ask("other")
    parts.situations.outdate_look(other)
    parts.put_secret(opaque("other-tls", note="mine"))
    assert reason(await parts.decide(other)) is Reason.SECRET_NOT_OWNED
    del parts.api.objects[SECRETS.path(NAMESPACE, "other-tls")]
    after(parts.scene, hours=-1)
    assert reason(await parts.decide(other)) is Reason.APPROVAL_PENDING


async def test_what_was_seen_under_another_name_does_not_count(parts: Parts) -> None:
    parts.put_secret(opaque("www-tls", note="mine"))
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    request = parts.ask()
    assert reason(await parts.decide(request)) is Reason.SECRET_NOT_OWNED
    renamed = parts.change(request, spec={"secretName": "other-tls"})
    assert reason(await parts.decide(renamed)) is Reason.APPROVAL_PENDING


async def test_its_own_that_lost_its_label_is_filed_and_no_other_certificate_is_issued(parts: Parts) -> None:
    issuer = await parts.add_issuer()
    request = parts.ask()
    assert isinstance(await parts.settle(request), Keep)
    parts.scene.store.drop_secret(request.secret)
    assert parts.situations.had_one(request)
    found = await parts.situations.look(request)
    assert found is not None
    assert parts.scene.store.own_secret(request) == found
    assert isinstance(await parts.decide(request), Keep)
    assert issuer.is_ready


async def test_one_whose_metadata_cannot_be_read_is_somebody_elses(parts: Parts) -> None:
    secret = opaque("www-tls", note="mine")
    secret["metadata"]["ownerReferences"] = [{"controller": True}]
    parts.put_secret(secret)
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    assert reason(await parts.decide(parts.ask())) is Reason.SECRET_NOT_OWNED


async def test_one_that_is_left_to_it_is_taken_over_without_an_approval(parts: Parts) -> None:
    secret = opaque("www-tls", note="mine")
    secret["metadata"]["annotations"] = {"csr-operator.dev/adopt": "www"}
    parts.put_secret(secret)
    await parts.add_issuer("ca", selfSigned={}, approval="Manual")
    assert await parts.decide(parts.ask()) == Adopt()


async def test_for_a_spec_that_cannot_be_read_nothing_is_looked_for(parts: Parts) -> None:
    parts.put_secret(opaque("www-tls", note="mine"))
    await parts.add_issuer()
    request = parts.ask(duration="for ever")
    assert reason(await parts.decide(request)) is Reason.INVALID_SPEC
    assert parts.api.reads == []

    await parts.situations.look(request)
    parts.api.reads.clear()
    after(parts.scene, hours=1)
    assert reason(await parts.decide(request)) is Reason.INVALID_SPEC
    assert parts.api.reads == []


async def test_of_two_requests_for_one_secret_the_second_says_whose_it_is(parts: Parts) -> None:
    await parts.add_issuer()
    await parts.settle(parts.ask("a", secretName="shared"))
    held = await parts.decide(parts.ask("b", secretName="shared"))
    assert isinstance(held, Hold)
    assert held.reason is Reason.SECRET_NOT_OWNED
    assert "CertificateRequest a" in held.message


async def test_whose_it_is_counts_before_which_of_them_was_first(parts: Parts) -> None:
    parts.put_secret(opaque("shared", note="mine"))
    requests = [parts.ask(name, secretName="shared") for name in ("a", "b")]
    (second,) = [request for request in requests if parts.scene.store.rival(request)]
    held = await parts.decide(second)
    assert isinstance(held, Hold)
    assert held.reason is Reason.SECRET_NOT_OWNED
    assert "was not made by the operator" in held.message


# Who has to revoke something.


async def test_an_issuer_that_the_spec_names_no_more_still_has_to_revoke(parts: Parts) -> None:
    old = await parts.add_revoking_ca(PAIR, "old")
    await parts.add_issuer("ca")
    request = parts.ask(issuer="old", revocation={"onRotation": True})
    await parts.settle(request)
    moved = parts.change(request, spec={"issuerRef": {"name": "ca"}})
    assert await parts.settle(moved, until=Revoke) == Revoke(old.issuer.key)


async def test_while_it_is_checked_for_the_first_time_the_revocation_waits(parts: Parts) -> None:
    """As after a restart."""
    await parts.add_revoking_ca(PAIR)
    request = parts.ask(revocation={"onDelete": True})
    await parts.settle(request)
    renamed = parts.change(request, spec={"issuerRef": {"name": "new"}})
    await parts.add_issuer("new")
    known = parts.issuers.get(ObjectKey(Kind.ISSUER, NAMESPACE, "ca"))
    assert known is not None
    known.state = None
    held = await parts.decide(parts.delete(renamed))
    assert reason(held) is Reason.REVOCATION_PENDING
    assert isinstance(held, Hold)
    assert "it is being checked" in held.message


async def test_in_a_namespace_that_is_deleted_nobody_waits_for_an_issuer_that_went_first(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request = parts.ask(revocation={"onDelete": True})
    await parts.settle(request)
    going = parts.delete(parts.watch("www"))
    parts.issuers._live.pop(issuer.issuer.key)
    assert reason(await parts.decide(going)) is Reason.REVOCATION_PENDING

    parts.put_namespace(deletionTimestamp="2026-01-01T00:00:00Z")
    action = await parts.decide(going)
    assert isinstance(action, Release)
    assert "its namespace is being deleted" in action.unrevoked


async def test_a_guarded_request_whose_secret_no_watch_shows_is_not_let_go_before_it_is_read(parts: Parts) -> None:
    issuer = await parts.add_revoking_ca(PAIR)
    request = parts.ask(revocation={"onDelete": True})
    await parts.settle(request)
    request = parts.watch("www")
    assert REVOCATION_FINALIZER in request.finalizers
    parts.scene.store.drop_secret(request.secret)
    assert await parts.decide(parts.delete(request)) == Revoke(issuer.issuer.key, current=True)


@pytest.mark.parametrize("fields", [{}, {"revision": 1}], ids=["never", "before"])
async def test_it_had_one_before_where_the_status_says_so(parts: Parts, fields: dict[str, Any]) -> None:
    request = parts.ask()
    request = replace(request, status=replace(request.status, **fields))
    assert parts.situations.had_one(request) is bool(fields)


# Specs of another shape than admission lets through.


async def test_without_the_name_of_a_secret_none_is_looked_for(parts: Parts) -> None:
    """Nor are two such requests rivals for one."""
    await parts.add_issuer()
    for request in [parts.ask(name, secretName="") for name in ("a", "b")]:
        assert reason(await parts.decide(request)) is Reason.INVALID_SPEC
        assert parts.scene.store.rival(request) == ""
    guarded = parts.change(request, finalizers=[REVOCATION_FINALIZER])
    assert isinstance(await parts.decide(parts.delete(guarded)), Release)
    assert parts.api.reads == []


async def test_without_an_issuer_the_spec_is_said_to_be_invalid(parts: Parts) -> None:
    held = await parts.decide(parts.ask(issuerRef=None))
    assert isinstance(held, Hold)
    assert held.reason is Reason.INVALID_SPEC
    assert held.message.startswith("spec.issuerRef: ")
