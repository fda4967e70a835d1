"""What decides on a request and carries that out, put together as the controller does, over an `Api`."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any

from csr_operator.api.keys import Kind, ObjectKey, Raw
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.times import format_time
from csr_operator.challenges.responder import Challenges
from csr_operator.control.actions import Actions
from csr_operator.control.issuers import Issuers, KnownIssuer
from csr_operator.control.journal import Journal
from csr_operator.control.paces import Paces
from csr_operator.control.permission import Permission
from csr_operator.control.renewal_advice import RenewalAdvice
from csr_operator.control.repairs import Repairs
from csr_operator.control.reports import Reports
from csr_operator.control.revocations import Revocations
from csr_operator.control.scope import Scope
from csr_operator.control.situations import Situations
from csr_operator.decisions.actions import Action, Rest
from csr_operator.issuance.performer import Performer
from csr_operator.kube.events import Events
from csr_operator.kube.objects import Object
from csr_operator.kube.resources import NAMESPACES, SECRETS, WATCHED
from csr_operator.pki.keys import PrivateKey
from csr_operator.plugin.http import http_session
from csr_operator.settings import Settings
from tests.control.api import Api
from tests.control.scene import Scene
from tests.support import manifests
from tests.support.authorities import KeyPair

NAMESPACE = "n"
_MOST_STEPS = 10


def _start() -> datetime:
    """Certificates of `authorities` are valid now."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(slots=True)
class Parts:
    """Begin with `running`. shown, gone: what was found to be another request than the watch showed, and to be gone."""

    situations: Situations
    actions: Actions
    revocations: Revocations
    reports: Reports
    issuers: Issuers
    advice: RenewalAdvice
    repairs: Repairs
    events: Events
    api: Api
    scene: Scene
    seal: Seal
    shown: list[Raw] = field(default_factory=list)
    gone: list[CertificateRequest] = field(default_factory=list)

    def put_secret(self, secret: dict[str, Any]) -> None:
        """As a user creates it; no watch shows it."""
        body = {**secret, "metadata": {"namespace": NAMESPACE, **secret["metadata"]}}
        self.api.put(SECRETS.path(NAMESPACE, secret["metadata"]["name"]), body)

    def put_namespace(self, **metadata: Any) -> None:
        """As it is from now on."""
        self.api.put(NAMESPACES.path(name=NAMESPACE), {"metadata": {"name": NAMESPACE, **metadata}})

    def watch_issuer(self, name: str, kind: Kind = Kind.ISSUER, **spec: Any) -> ObjectKey:
        """One that is there, and was not checked yet. spec: without it, it is selfSigned."""
        key = ObjectKey(kind, NAMESPACE if kind is Kind.ISSUER else "", name)
        obj = manifests.issuer(name, str(kind), **spec)
        obj["metadata"] |= {"namespace": key.namespace, "generation": 1}
        self.issuers.observe(parse_issuer(self.api.put(_path(key), obj)))
        return key

    async def add_issuer(self, name: str = "ca", kind: Kind = Kind.ISSUER, **spec: Any) -> KnownIssuer:
        """The same, checked."""
        key = self.watch_issuer(name, kind, **spec)
        await self.issuers.check(key)
        known = self.issuers.get(key)
        assert known is not None
        return known

    async def add_revoking_ca(self, pair: KeyPair, name: str = "ca") -> KnownIssuer:
        """One that signs by `pair`, and keeps its revocation list in Secret `NAME-crl`."""
        self.put_secret(pair.secret(f"{name}-key"))
        return await self.add_issuer(name, ca={"secretName": f"{name}-key", "crl": {"secretName": f"{name}-crl"}})

    def ask(self, name: str = "www", issuer: str = "ca", **spec: Any) -> CertificateRequest:
        """A user creates a request, which a watch shows."""
        obj = manifests.request(name, issuer, **spec)
        obj["metadata"] |= {"namespace": NAMESPACE, "generation": 1}
        self.api.put(WATCHED[Kind.CERTIFICATE_REQUEST].path(NAMESPACE, name), obj)
        return self.watch(name)

    def change(self, request: CertificateRequest, **changes: Any) -> CertificateRequest:
        """A user changes it, which a watch shows. changes: of the metadata; `spec`: of that."""
        obj = self.there(request)
        if (spec := changes.pop("spec", None)) is not None:
            obj["spec"] |= spec
            obj["metadata"]["generation"] += 1
        obj["metadata"] |= changes
        self.api.put(_path(request.key), obj)
        return self.watch(request.name)

    def delete(self, request: CertificateRequest) -> CertificateRequest:
        """A user deletes it, and a finalizer keeps it."""
        return self.change(request, deletionTimestamp=format_time(self.scene.now))

    def there(self, request: CertificateRequest) -> Object:
        """The request as the API server has it."""
        return self.api.objects[_path(request.key)]

    def watch(self, name: str) -> CertificateRequest:
        """The watch shows a request as it is."""
        path = WATCHED[Kind.CERTIFICATE_REQUEST].path(NAMESPACE, name)
        request = parse_request(self.api.objects[path])
        self.scene.store.put_request(request)
        return request

    async def decide(self, request: CertificateRequest) -> Action:
        """What is to be done."""
        decided = await self.situations.decide(request)
        assert decided is not None
        return decided[1]

    async def perform(self, request: CertificateRequest, action: Action, made: PrivateKey | None = None) -> str | None:
        """As `Actions.perform`."""
        issuer = getattr(action, "issuer", None)
        live = self.issuers.get(issuer) if issuer is not None else None
        return await self.actions.perform(request, action, live, made)

    async def settle(self, request: CertificateRequest, until: type[Action] | UnionType = Rest) -> Action:
        """Whatever is to be done is done, and shown by the watch, until such an action; returns that."""
        for _ in range(_MOST_STEPS):
            action = await self.decide(request)
            if isinstance(action, until):
                return action
            await self.perform(request, action)
            request = self.watch(request.name)
        raise AssertionError("it does not come to rest")

    async def told(self, reason: str) -> list[str]:
        """The notes of the events with this reason, oldest first."""
        await self.events.drain()
        return self.api.told(reason)


def _path(key: ObjectKey) -> str:
    return WATCHED[key.kind].path(key.namespace, key.name)


@asynccontextmanager
async def running(scope: Scope | None = None) -> AsyncIterator[Parts]:
    """With a namespace, and nothing in it. scope: of the replica, if there are others."""
    scene, seal, settings = Scene(now=_start()), Seal([b"k" * 32]), Settings()
    api, shown, gone = Api(scene.now), list[Raw](), list[CertificateRequest]()
    kube, clock, store, memory = api.kube, scene.clock, scene.store, scene.memory
    events, journal = Events(kube.transport, clock), Journal(asyncio.get_running_loop().time)
    challenges = Challenges(kube.routes, "system", clock, None)
    issuers = Issuers(kube, "system", clock, scene.woken.append, challenges, None, http_session, scope or Scope.whole())
    paces, repairs = Paces(memory, seal, clock), Repairs()
    with ThreadPoolExecutor(1) as cpu:
        performer = Performer(kube, cpu, clock, seal, Permission(store, issuers, kube.namespaces).check)
        advice = RenewalAdvice(performer.secrets, events, store, memory, asyncio.Semaphore(1), clock)
        reports = Reports(kube.custom_objects, performer, events, journal, store, memory, paces, clock)
        revocations = Revocations(kube, performer.revoker, store, issuers, reports, events, journal, clock)
        situations = Situations(
            settings, kube.secrets, kube.namespaces, store, issuers, memory, paces, advice, seal, clock
        )
        actions = Actions(
            kube.custom_objects,
            performer,
            store,
            issuers,
            memory,
            situations,
            paces,
            advice,
            revocations,
            repairs,
            events,
            journal,
            scene.woken.append,
            shown.append,
            gone.append,
            clock,
        )
        parts = Parts(
            situations, actions, revocations, reports, issuers, advice, repairs, events, api, scene, seal, shown, gone
        )
        parts.put_namespace()
        yield parts
        await events.drain()
        await issuers.close()


def after(scene: Scene, **by: float) -> None:
    """The clock goes on. by: as `timedelta` takes it."""
    scene.now += timedelta(**by)
