"""What a decision leads to, where what it was made on changes before it is carried out."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

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
