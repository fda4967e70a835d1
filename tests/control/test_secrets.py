"""What becomes of the operator's own Secrets whose request is gone."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from csr_operator.api.keys import ObjectKey, SecretKey
from csr_operator.api.names import MANAGED_LABEL, SECRET_NAME_ANNOTATION, STAGING_LABEL
from csr_operator.api.reasons import Reason
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.api.shards import SHARDS, shard_of
from csr_operator.api.times import format_time
from csr_operator.control.issuers import Issuers
from csr_operator.control.reconciler import Aside, Done, Retry
from csr_operator.control.scope import Scope
from csr_operator.control.secrets import SecretReconciler
from csr_operator.issuance.failures import Failed
from csr_operator.issuance.revocation import Revoker
from csr_operator.issuance.staging import Staging
from csr_operator.kube.custom_objects import CustomObjects
from tests.control.scene import NOW, Scene, make_order, make_request, make_secret

WWW = make_request()
GOING = make_order(WWW, deleted=format_time(NOW), owner="www")


class Doer:
    """Notes what it was to do, and may fail to take an order back."""

    def __init__(self, failure: Failed | None = None, *, secret_is_gone: bool = False) -> None:
        self._failure, self._secret_is_gone = failure, secret_is_gone
        self.done: list[tuple[str, str]] = []

    async def abandon(self, staged: Staged, ca: object) -> None:
        self.done.append(("abandon", staged.name))
        if self._failure is not None:
            raise self._failure

    async def release(self, staged: Staged) -> None:
        self.done.append(("release", staged.name))

    async def discard(self, staged: Staged) -> None:
        self.done.append(("discard", staged.name))

    async def guard(self, secret: SecretMeta, *, guarded: bool) -> SecretMeta | None:
        assert not guarded
        self.done.append(("let go", secret.name))
        return None if self._secret_is_gone else secret


class Known:
    """All issuers are there, and nothing reads a Secret."""

    ca = None
    backend = True

    def get(self, _: ObjectKey) -> "Known":
        return self

    def readers(self, _: SecretKey) -> set[ObjectKey]:
        return set()


class Cluster:
    """Holds these objects."""

    def __init__(self, *there: dict[str, Any]) -> None:
        self._there = {each["metadata"]["name"]: each for each in there}

    async def get(self, key: ObjectKey) -> dict[str, Any] | None:
        return self._there.get(key.name)


def reconciler(
    scene: Scene, doer: Doer, cluster: Cluster | None = None, scope: Scope | None = None
) -> SecretReconciler:
    return SecretReconciler(
        cast(CustomObjects, cluster or Cluster()),
        cast(Staging, doer),
        cast(Revoker, doer),
        scene.store,
        cast(Issuers, Known()),
        scope or Scope.whole(),
        Seal(),
        asyncio.Semaphore(1),
        scene.woken.append,
        scene.clock,
    )


async def outcome(found: SecretReconciler, key: SecretKey) -> Done | Retry:
    begun = await found.reconcile(key)
    assert isinstance(begun, Aside)
    return await begun.work


async def test_an_order_that_is_to_go_is_taken_back_first() -> None:
    scene, doer = Scene(), Doer()
    scene.store.saw_secret(GOING)
    assert await outcome(reconciler(scene, doer), GOING.key) == Done()
    assert doer.done == [("abandon", GOING.name), ("release", GOING.name)]
    assert scene.store.staged_at(GOING.key) is None


@pytest.mark.parametrize(
    ("failure", "age", "released"),
    [
        (Failed(Reason.ISSUER_UNAVAILABLE, "away", after=timedelta(minutes=5)), timedelta(0), False),
        (Failed(Reason.ISSUER_UNAVAILABLE, "away"), timedelta(minutes=59), False),
        (Failed(Reason.ISSUER_UNAVAILABLE, "away"), timedelta(hours=1), True),
        (Failed(Reason.REJECTED, "never"), timedelta(0), True),
    ],
    ids=["asks to wait", "an hour has not passed", "an hour has passed", "never will"],
)
async def test_a_namespace_is_kept_for_an_hour_by_a_ca_that_does_not_take_an_order_back(
    failure: Failed, age: timedelta, released: bool
) -> None:
    scene, doer = Scene(now=NOW + age), Doer(failure)
    scene.store.saw_secret(GOING)
    found = await outcome(reconciler(scene, doer), GOING.key)
    assert (("release", GOING.name) in doer.done) is released
    if not released:
        assert isinstance(found, Retry)
        assert found.at_least == failure.after
        assert failure.message in found.why
        assert scene.store.staged_at(GOING.key) == GOING


@pytest.mark.parametrize("authentic", [True, False])
async def test_an_order_of_a_request_that_is_gone_is_deleted_if_the_operator_wrote_it(authentic: bool) -> None:
    scene, doer = Scene(), Doer()
    scene.store.saw_secret(replace(GOING, deleted="", authentic=authentic))
    assert await outcome(reconciler(scene, doer), GOING.key) == Done()
    assert doer.done == ([("discard", GOING.name)] if authentic else [])


async def test_an_order_of_a_request_that_the_watch_has_not_shown_yet_is_left_alone() -> None:
    scene, doer = Scene(), Doer()
    there = {"metadata": {"name": "www", "uid": WWW.uid}}
    scene.store.saw_secret(replace(GOING, deleted=""))
    assert await outcome(reconciler(scene, doer, Cluster(there)), GOING.key) == Done()
    assert doer.done == []


async def test_a_secret_that_waits_for_a_request_that_is_gone_is_let_go() -> None:
    scene, doer = Scene(), Doer()
    secret = make_secret(WWW, guarded=True, deleted=True)
    scene.store.saw_secret(secret)
    there = {"metadata": {"name": "www", "uid": WWW.uid}}
    assert await outcome(reconciler(scene, doer, Cluster(there)), secret.key) == Retry()
    assert await outcome(reconciler(scene, doer), secret.key) == Done()
    assert doer.done == [("let go", "www-tls")]


@pytest.mark.parametrize("gone", [False, True], ids=["still there", "gone"])
async def test_that_a_secret_was_let_go_is_told_if_it_was_there(gone: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever let its request go has let it go as well; that a watch has not shown it yet means nothing."""
    scene, doer = Scene(), Doer(secret_is_gone=gone)
    secret = make_secret(WWW, guarded=True, deleted=True)
    scene.store.saw_secret(secret)
    assert await outcome(reconciler(scene, doer), secret.key) == Done()
    assert ("its request is gone" in caplog.text) is not gone


async def test_a_secret_whose_request_is_let_go_now_is_left_to_who_does_that() -> None:
    scene, doer = Scene(), Doer()
    secret = make_secret(WWW, guarded=True, deleted=True)
    scene.store.saw_secret(secret)
    with scene.store.releasing(WWW):
        assert await outcome(reconciler(scene, doer), secret.key) == Retry()
    assert doer.done == []
    assert await outcome(reconciler(scene, doer), secret.key) == Done()
    assert doer.done == [("let go", "www-tls")]


def shown(name: str, label: str, **annotations: str) -> dict[str, Any]:
    """The metadata of a Secret, as a watch shows it."""
    metadata = {"name": name, "namespace": "n", "uid": name, "resourceVersion": "10"}
    more = {"creationTimestamp": format_time(NOW), "labels": {label: "true"}, "annotations": annotations}
    return {"metadata": {**metadata, **more}}


CERTIFICATE = shown("www-tls", MANAGED_LABEL)
ORDER = shown("order-of-www", STAGING_LABEL, **{SECRET_NAME_ANNOTATION: "www-tls"})
CLAIMS = shown("www-tls", MANAGED_LABEL, **{SECRET_NAME_ANNOTATION: "another", "note": f'"{STAGING_LABEL}":"true"'})
UNREADABLE = {"metadata": {**CERTIFICATE["metadata"], "annotations": {"csr-operator.dev/seal": 1}}}
SILENT = shown("order", STAGING_LABEL)


@pytest.mark.parametrize("obj", [CERTIFICATE, ORDER, CLAIMS, UNREADABLE], ids=["its", "its order", "claims", "strange"])
def test_a_secret_is_filed_by_the_replica_that_has_its_request_and_by_no_other(obj: dict[str, Any]) -> None:
    filed = []
    for shard in range(SHARDS):
        scene, scope = Scene(), Scope()
        scope.take(frozenset({shard}))
        member = reconciler(scene, Doer(), scope=scope)
        member.observe(obj)
        if member.known("n"):
            filed.append(shard)
    assert filed == [shard_of("n", "www-tls")]


def test_an_order_that_does_not_say_whose_it_is_is_filed_by_each() -> None:
    member = reconciler(Scene(), Doer(), scope=Scope())
    member.observe(SILENT)
    assert member.known("n")
