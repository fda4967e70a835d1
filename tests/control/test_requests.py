"""What a decision leads to, where what it was made on changes before it is carried out."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.control.journal import Journal
from csr_operator.control.reconciler import Aside, Done
from csr_operator.control.requests import RequestReconciler
from csr_operator.control.scope import Scope
from csr_operator.control.slots import Slots
from csr_operator.issuance.keymaker import KeyMaker
from csr_operator.kube.resources import SECRETS
from tests.control.parts import NAMESPACE, Parts, running
from tests.control.scene import make_order, make_secret


def reconciler(parts: Parts) -> RequestReconciler:
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
        Scope.whole(),
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
