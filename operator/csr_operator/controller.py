"""Holds what the watches showed, and keeps every request moving: decide, perform, one status patch.

Nothing here knows kopf. `observe` only files what came and marks keys; all work is done by the workers.
"""

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from .decide import Action, Failure, Hold, Issue, IssuerState, Restore, decide, is_current, renewal_time
from .events import Events
from .issuers import Issuers, Live
from .kube import KubeClient, KubeError, Unreachable
from .metrics import RequestSample
from .model import (
    CertificateRequest,
    Kind,
    ObjectKey,
    Raw,
    SecretKey,
    SecretMeta,
    is_newer,
    parse_request,
    parse_time,
)
from .perform import Failed, Performer
from .settings import Settings
from .status import request_status, status_body
from .workqueue import WorkQueue

logger = logging.getLogger(__name__)


class Controller:
    """clock: the time now, in UTC."""

    def __init__(self, settings: Settings, kube: KubeClient, clock: Callable[[], datetime]) -> None:
        self._settings, self._kube, self._clock = settings, kube, clock
        self._cpu = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="keys")
        self._performer = Performer(kube, self._cpu, clock)
        self._events = Events(kube, clock)
        self._queue: WorkQueue[ObjectKey] = WorkQueue()
        self._issuers = Issuers(kube, settings.cluster_resource_namespace, clock, self._wake_dependents)
        self._requests: dict[ObjectKey, CertificateRequest] = {}
        self._secrets: dict[SecretKey, SecretMeta] = {}
        self._failures: dict[ObjectKey, Failure] = {}
        self._by_issuer: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self._by_secret: defaultdict[SecretKey, set[ObjectKey]] = defaultdict(set)
        self._at_work: dict[SecretKey, CertificateRequest] = {}  # for whom a Secret is being written
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work; not before all Secrets and issuers have been listed."""
        self._workers = [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._settings.workers)]

    async def stop(self) -> None:
        """Give up what is under way; a restart takes it up again."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._events.drain()
        self._cpu.shutdown(wait=False, cancel_futures=True)

    # What the watches show.

    def observe(self, kind: Kind, gone: bool, obj: Raw) -> None:
        """A CertificateRequest, Issuer or ClusterIssuer is there, has changed, or is gone."""
        metadata = obj["metadata"]
        key = ObjectKey(kind, metadata.get("namespace", ""), metadata["name"])
        if gone:
            self.forget(key, metadata["uid"])
        elif kind is Kind.CERTIFICATE_REQUEST:
            self._observe_request(parse_request(obj))
        elif self._issuers.observe(obj):
            self._queue.add(key)

    def observe_secret(self, key: SecretKey, meta: SecretMeta | None) -> None:
        """One of the operator's own Secrets is there, has changed, or is gone (None)."""
        known = self._secrets.get(key)
        if meta is None:
            self._secrets.pop(key, None)
        elif known is not None and not is_newer(meta.resource_version, known.resource_version):
            return  # our own write, or what it overtook
        else:
            self._secrets[key] = meta
        for dependent in self._by_secret.get(key, ()):
            self._queue.add(dependent)
        self._wake_readers(key)

    def forget(self, key: ObjectKey, uid: str) -> None:
        """The object is gone; another of its name may be there already."""
        if key.kind is not Kind.CERTIFICATE_REQUEST:
            if self._issuers.forget(key, uid):
                self._queue.forget(key)
        elif (known := self._requests.get(key)) is not None and known.uid == uid:
            del self._requests[key]
            self._unindex(known)
            self._failures.pop(key, None)
            self._queue.forget(key)

    def known(self, kind: Kind) -> dict[ObjectKey, str]:
        """All of one kind, with their UIDs."""
        if kind is Kind.CERTIFICATE_REQUEST:
            return {key: request.uid for key, request in self._requests.items()}
        return {key: uid for key, uid in self._issuers.uids() if key.kind is kind}

    def known_secrets(self, namespace: str) -> set[SecretKey]:
        """Those in `namespace`; empty: all."""
        return {key for key in self._secrets if namespace in ("", key.namespace)}

    def samples(self) -> Iterator[RequestSample]:
        """For the metrics: each request as it stands now."""
        now = self._clock()
        for request in self._requests.values():
            secret = self._own_secret(request)
            record = secret.record if secret is not None else None
            yield RequestSample(
                request.namespace,
                request.name,
                is_current(request, record, now),
                parse_time(record.not_after).timestamp() if record else None,
                renewal_time(request, record).timestamp() if record else None,
            )

    def _observe_request(self, request: CertificateRequest) -> None:
        key = request.key
        known = self._requests.get(key)
        if known is not None:
            if known.uid == request.uid and not is_newer(request.resource_version, known.resource_version):
                return  # our own write, or what it overtook
            self._unindex(known)
        self._requests[key] = request
        self._by_issuer[request.issuer].add(key)
        self._by_secret[request.secret].add(key)
        self._queue.add(key)

    def _unindex(self, request: CertificateRequest) -> None:
        dependents = self._by_issuer[request.issuer]
        dependents.discard(request.key)
        if not dependents:
            del self._by_issuer[request.issuer]
        rivals = self._by_secret[request.secret]
        rivals.discard(request.key)
        if not rivals:
            del self._by_secret[request.secret]
        for rival in rivals:
            self._queue.add(rival)

    def _own_secret(self, request: CertificateRequest) -> SecretMeta | None:
        secret = self._secrets.get(request.secret)
        return secret if secret is not None and secret.owner_uid == request.uid else None

    def _wake_dependents(self, issuer: ObjectKey) -> None:
        for key in self._by_issuer.get(issuer, ()):
            self._queue.add(key)

    def _wake_readers(self, secret: SecretKey) -> None:
        for issuer in self._issuers.readers(secret):
            self._queue.add(issuer)

    # The work.

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                if key.kind is Kind.CERTIFICATE_REQUEST:
                    await self._reconcile(key)
                else:
                    await self._issuers.check(key)
                    self._queue.add_after(key, self._settings.issuer_check_interval)
                    self._queue.succeeded(key)
            except (Unreachable, KubeError) as error:
                wait = self._queue.retry(key)
                logger.warning("%s: the API server: %s; trying again in %.0f s", key, error, wait)
            except Exception:
                # A bug, and no reason to leave this object, or any other, alone for good.
                wait = self._queue.retry(key)
                logger.exception("%s: unexpected; trying again in %.0f s", key, wait)
            finally:
                self._queue.done(key)

    async def _reconcile(self, key: ObjectKey) -> None:
        request = self._requests.get(key)
        if request is None:
            return
        live = self._issuers.get(request.issuer)
        if live is not None and live.state is None:
            return  # its first check is under way, and wakes what depends on it
        state = live.state if live is not None else None
        action = self._decide(request, state)
        csr_pem = None
        if isinstance(action, Issue | Restore):
            self._at_work[request.secret] = request
            try:
                csr_pem = await self._perform(request, live, action)
            finally:
                del self._at_work[request.secret]
                for rival in self._by_secret.get(request.secret, set()) - {key}:
                    self._queue.add(rival)
            if self._requests.get(key) is not request:
                return  # it changed meanwhile, and is marked for that: the newer one is another decision
            action = self._decide(request, state)
            if isinstance(action, Issue | Restore):
                self._queue.add(key)
                return
        await self._write_status(request, action, csr_pem)
        if action.until is not None:
            # Looked at again at least hourly, in case the wall clock was set.
            wait = (action.until - self._clock()).total_seconds()
            self._queue.add_after(key, min(wait, 3600.0))

    def _decide(self, request: CertificateRequest, state: IssuerState | None) -> Action:
        return decide(
            request,
            state,
            self._secrets.get(request.secret),
            self._failures.get(request.key),
            self._clock(),
            timedelta(seconds=self._settings.rotation_spread),
            rival=self._rival(request),
        )

    def _rival(self, request: CertificateRequest) -> str:
        """The name of another request for the same Secret that comes first. Empty if there is none.

        That is the one that is at it already, and else the oldest.
        """
        first = self._at_work.get(request.secret)
        if first is None:
            keys = self._by_secret[request.secret]
            if len(keys) < 2:
                return ""
            first = min((self._requests[key] for key in keys), key=lambda r: (r.created, r.uid))
        return "" if first.uid == request.uid else first.name

    async def _perform(self, request: CertificateRequest, live: Live | None, action: Issue | Restore) -> str | None:
        """Returns the CSR (PEM) if there is a new certificate or a restored one."""
        key, secret = request.key, self._own_secret(request)
        try:
            if isinstance(action, Restore):
                assert secret is not None
                written = await self._performer.restore(request, action.revision, secret)
                if written is None:
                    self._secrets[secret.key] = replace(secret, beyond_repair=True)
                    return None
            elif secret is None and self._has_had_one(request) and (found := await self._performer.find(request)):
                # Gone from the watch, but only because somebody took the label that the watch filters by.
                self._secrets[found.key] = found
                return None
            else:
                assert live is not None
                assert live.backend is not None
                written = await self._performer.issue(
                    request, action.revision, secret, live.issuer.backend, live.backend
                )
        except Failed as failed:
            version = live.state.version if live is not None and live.state is not None else ""
            wait = None if failed.permanent else self._queue.backoff(key, at_least=failed.after)
            self._failures[key] = Failure(
                reason=failed.reason,
                message=failed.message,
                generation=request.generation,
                issuer_version=version,
                retry_at=None if wait is None else self._clock() + timedelta(seconds=wait),
                needs_user=failed.needs_user,
            )
            if failed.reason == "IssuerNotReady":
                self._queue.add(request.issuer)  # what it found, the issuer's own status should say
            return None
        self._failures.pop(key, None)
        self._queue.succeeded(key)
        known = self._secrets.get(request.secret)
        if known is secret or (known and is_newer(written.secret.resource_version, known.resource_version)):
            self._secrets[request.secret] = written.secret  # else the watch was faster, with a later change
        self._wake_readers(request.secret)  # the watch shows nothing newer
        if isinstance(action, Issue) and action.revision > 1:
            self._events.normal(request, "Issued", f"revision {action.revision}, because of {action.reason}")
        return written.csr_pem

    def _has_had_one(self, request: CertificateRequest) -> bool:
        """A Secret may be there that the watch does not show."""
        return request.status.revision > 0 or request.key in self._failures

    async def _write_status(self, request: CertificateRequest, action: Action, csr_pem: str | None) -> None:
        secret = self._own_secret(request)
        record = secret.record if secret is not None else None
        old = request.status
        if record is None or (old.has_csr and old.revision == record.revision):
            csr_pem = None
        elif csr_pem is None:
            csr_pem = await self._performer.csr_pem(request)
        status = request_status(request, record, action, self._clock())
        if csr_pem is not None:
            status = replace(status, has_csr=True)
        elif status == old:
            return
        try:
            answer = await self._kube.patch_status(request.key, request.resource_version, status_body(status, csr_pem))
        except KubeError as error:
            if error.status in (404, 409):
                return  # gone, or newer: the watch shows it
            raise
        if self._requests.get(request.key) is request:
            version = answer["metadata"]["resourceVersion"]
            self._requests[request.key] = replace(request, resource_version=version, status=status)
        news = [c for c in status.conditions if not any(c.says_the_same(o) for o in old.conditions)]
        if isinstance(action, Hold) and news:
            self._events.warning(request, news[-1].reason, news[-1].message)
