"""Issuers whose spec came in past admission, as from another version of its definition: what is wrong, and where."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from csr_operator.api.keys import Kind, SecretKey
from csr_operator.api.shards import SHARDS
from csr_operator.control.issuer_reconciler import IssuerReconciler
from csr_operator.control.journal import Journal
from csr_operator.control.reconciler import Aside, Done, Retry
from csr_operator.control.scope import Scope
from csr_operator.control.slots import Slots
from tests.control.parts import Parts, running
from tests.support.entries import entries_of

KEY = {"privateKeySecretRef": {"name": "account"}}
WITH_SERVER = {"server": "https://ca.example.com/directory", **KEY}
UNREADABLE = "it cannot be read: write it as `kubectl explain` shows"


class Halting:
    """A replica that may not act before it is told so, as while its Lease is not renewed."""

    place = (0, 2)
    acts = False

    def holds(self, shard: int) -> bool:
        return self.acts

    def has_taken(self) -> None:
        pass


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running() as parts:
        yield parts


@pytest.mark.parametrize(
    ("backend", "config", "told"),
    [
        ("acme", {}, "spec.acme.privateKeySecretRef.name: it is missing: name the Secret"),
        ("acme", {"privateKeySecretRef": {}}, "spec.acme.privateKeySecretRef.name: it is missing: name the Secret"),
        ("acme", {"privateKeySecretRef": 5}, f"spec.acme.privateKeySecretRef: {UNREADABLE}"),
        ("acme", {"privateKeySecretRef": {"name": 5}}, f"spec.acme.privateKeySecretRef.name: {UNREADABLE}"),
        ("acme", KEY, "spec.acme.server: it is missing: write"),
        ("acme", {"server": 5, **KEY}, f"spec.acme.server: {UNREADABLE}"),
        ("acme", {**WITH_SERVER, "caBundle": 5}, f"spec.acme: {UNREADABLE}"),
        ("acme", {**WITH_SERVER, "solvers": 5}, f"spec.acme: {UNREADABLE}"),
        (
            "acme",
            {**WITH_SERVER, "externalAccountBinding": {}},
            "spec.acme.externalAccountBinding.keySecretRef.name: it is missing: name the Secret",
        ),
        (
            "acme",
            {**WITH_SERVER, "externalAccountBinding": {"keySecretRef": {"name": "eab"}}},
            "spec.acme.externalAccountBinding.keyID: it is missing: write",
        ),
        ("ca", {"secretName": 5}, "spec.ca: the name of a Secret in it is not text"),
        ("ca", {"secretName": "ca", "crl": 5}, f"spec.ca: {UNREADABLE}"),
        ("manual", {"caBundle": 5}, f"spec.manual: {UNREADABLE}"),
        ("digicert", {"product": "ssl_basic", "secretName": "key", "caBundle": []}, "Secret "),
        ("sectigo", {"login": 5}, f"spec.sectigo: {UNREADABLE}"),
    ],
)
async def test_what_is_odd_is_told_with_its_field(parts: Parts, backend: str, config: Any, told: str) -> None:
    known = await parts.add_issuer("odd", **{backend: config})
    assert known.state is not None
    assert known.state.message.startswith(told)


async def test_a_status_that_may_not_be_written_at_this_moment_is_written_as_soon_as_it_may() -> None:
    replica, interval = Halting(), timedelta(hours=1)
    scope = Scope(replica)
    scope.take(frozenset(range(SHARDS)))
    async with running(scope) as parts:
        known = await parts.add_issuer("ca")
        slots = Slots(wake=parts.scene.woken.append, later=asyncio.get_running_loop().call_later)
        journal = Journal(asyncio.get_running_loop().time)
        reconciler = IssuerReconciler(Kind.ISSUER, parts.issuers, slots, journal, interval, parts.scene.woken.append)
        key = known.issuer.key

        async def reconciled() -> Done | Retry:
            aside = await reconciler.reconcile(key)
            assert isinstance(aside, Aside)
            return await aside.work

        assert isinstance(await reconciled(), Retry)
        assert not known.issuer.conditions
        replica.acts = True
        assert await reconciled() == Done(interval)
        assert [condition.type for condition in known.issuer.conditions] == ["Ready"]


async def test_the_status_of_an_issuer_that_another_replica_tells_of_is_left_to_it() -> None:
    async with running(Scope(Halting())) as parts:
        known = await parts.add_issuer("ca")
        assert await parts.issuers.check(known.issuer.key)
        assert not known.issuer.conditions


async def test_of_issuers_that_came_and_went_and_of_the_secrets_they_named_nothing_is_kept() -> None:
    async with running() as parts:
        for number in range(20):
            known = await parts.add_issuer(f"ca-{number}", ca={"secretName": f"first-{number}"})
            for generation in range(2, 5):
                changed = replace(
                    known.issuer,
                    generation=generation,
                    resource_version=f"{int(known.issuer.resource_version) + generation}",
                    config={"secretName": f"other-{number}-{generation}"},
                )
                parts.issuers.observe(changed)
                await parts.issuers.check(changed.key)
            assert parts.issuers.readers(SecretKey(changed.namespace, f"other-{number}-4")) == {changed.key}
            assert not parts.issuers.readers(SecretKey(changed.namespace, f"first-{number}"))
            parts.issuers.forget(changed.key, changed.uid)
        await asyncio.sleep(0)
        await parts.issuers.close()
        assert not any(entries_of(parts.issuers).values())
