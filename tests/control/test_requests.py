"""What a decision leads to, where what it was made on changes before it is carried out."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.api.shards import shard_of
from csr_operator.control.journal import Journal
from csr_operator.control.reconciler import Aside, Done, Gone
from csr_operator.control.requests import RequestReconciler
from csr_operator.control.scope import Scope
from csr_operator.control.slots import Slots
from csr_operator.issuance.keymaker import KeyMaker
from csr_operator.kube.resources import SECRETS
from tests.control.parts import NAMESPACE, Parts, running
from tests.control.scene import make_order, make_secret
from tests.support import manifests


def reconciler(parts: Parts, scope: Scope | None = None) -> RequestReconciler:
    loop, scene = asyncio.get_running_loop(), parts.scene
    return RequestReconciler(
        scene.store,
        parts.issuers,
        scene.memory,
        parts.situations,
        parts.actions,
        parts.advice,
        parts.reports,
        parts.revocations,
        Slots(wake=scene.woken.append, later=loop.call_later),
        scope or Scope.whole(),
        KeyMaker(made=scene.woken.append),
        parts.repairs,
        Journal(loop.time),
        scene.woken.append,
        scene.clock,
    )


@pytest.mark.parametrize("make", [make_secret, make_order], ids=["its certificate", "its order"])
async def test_what_is_seen_after_the_decision_is_not_replaced(
    make: Callable[[CertificateRequest], SecretMeta | Staged],
) -> None:
    async with running() as parts:
        await parts.add_issuer("ca")
        request = parts.ask()
        decided = await reconciler(parts).reconcile(request.key)
        assert isinstance(decided, Aside)

        parts.scene.store.put_secret(make(request))  # the watch is late
        assert await decided.work == Done(timedelta(0))
        assert SECRETS.path(NAMESPACE, request.secret.name) not in parts.api.objects


async def test_what_nothing_came_between_is_carried_out() -> None:
    async with running() as parts:
        await parts.add_issuer("ca")
        request = parts.ask()
        decided = await reconciler(parts).reconcile(request.key)
        assert isinstance(decided, Aside)
        await decided.work
        assert SECRETS.path(NAMESPACE, request.secret.name) in parts.api.objects


async def test_a_request_whose_secret_name_was_changed_to_another_replicas_is_that_ones() -> None:
    """The definition refuses the change; one of an earlier version may still be installed."""
    async with running() as parts:
        shard, scope = shard_of(NAMESPACE, "www-tls"), Scope()
        scope.take(frozenset({shard}))
        scope.filed(scope.takings)
        request = parts.ask()
        obj, replica = parts.there(request), reconciler(parts, scope)
        replica.observe(obj)
        assert [*replica.known("")] == [request.key]
        other = next(name for name in map("tls-{}".format, range(64)) if shard_of(NAMESPACE, name) != shard)
        replica.observe(obj | {"spec": obj["spec"] | {"secretName": other}})
        assert not replica.known("")
        assert not [*replica.samples()]
        assert await replica.reconcile(request.key) == Gone()


def shown(uid: str, version: str, secret_name: str) -> dict[str, Any]:
    """The request `www`, as a watch shows it."""
    body = manifests.request("www", "ca", secretName=secret_name)
    metadata = {"name": "www", "namespace": NAMESPACE, "uid": uid, "resourceVersion": version, "generation": 1}
    return {**body, "metadata": metadata}


@pytest.mark.parametrize("uid", ["u-1", "u-2"], ids=["changed past admission", "deleted, and made anew"])
async def test_a_request_for_a_secret_that_is_another_replicas_is_that_ones_whatever_it_was_before(uid: str) -> None:
    ours = "a"
    theirs = next(name for name in "bcdefgh" if shard_of(NAMESPACE, name) != shard_of(NAMESPACE, ours))
    of_us, of_them = Scope(), Scope()
    of_us.take(frozenset({shard_of(NAMESPACE, ours)}))
    of_them.take(frozenset({shard_of(NAMESPACE, theirs)}))
    key = ObjectKey(Kind.CERTIFICATE_REQUEST, NAMESPACE, "www")
    async with running() as here, running() as there:
        members = (here, reconciler(here, of_us)), (there, reconciler(there, of_them))

        def holders(body: dict[str, Any]) -> list[bool]:
            for _, member in members:
                member.observe(body)
            known = [parts.scene.store.request(key) for parts, _ in members]
            assert [key in member.known(NAMESPACE) for _, member in members] == [bool(each) for each in known]
            return [each is not None and each.uid == body["metadata"]["uid"] for each in known]

        assert holders(shown("u-1", "10", ours)) == [True, False]
        assert holders(shown(uid, "11", theirs)) == [False, True]
        assert holders(shown(uid, "12", ours)) == [True, False]
