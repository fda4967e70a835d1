"""The issuers: their backends, and what the last check of each said."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import aiohttp

from csr_operator.api.conditions import Condition
from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import ObjectKey, SecretKey, is_newer, issuer_name
from csr_operator.api.reasons import Reason
from csr_operator.api.shards import shard_of
from csr_operator.backends import registry
from csr_operator.challenges.responder import Challenges, IssuerResponder
from csr_operator.decisions.status import condition_bodies, issuer_conditions
from csr_operator.decisions.world import IssuerState
from csr_operator.issuance.backend_answers import bound_health, describe_refusal
from csr_operator.issuance.backend_calls import (
    GuardedBackend,
    describe_silence,
    describe_unexpected,
    is_own_end,
    log_unexpected,
)
from csr_operator.issuance.backend_tasks import in_backend
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.issuer_secrets import write_issuer_secret
from csr_operator.kube.objects import secret_data
from csr_operator.metrics import CA_CALLS, SKIPPED_SAMPLES, IssuerSample
from csr_operator.pki.errors import quoted
from csr_operator.plugin.backend import Backend, Health, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Misconfigured, SecretNotFound
from csr_operator.plugin.text import redact

from .issuer_credentials import find_refusal
from .scope import Scope

logger = logging.getLogger(__name__)

_PATIENCE = 30.0
"""Seconds that a check may take."""

_NEWS = timedelta(minutes=10)
"""How often the status of an issuer whose CA is away tells in which words it was told so: they may change each time."""

_REWORDED = 5
"""How often within that time any other one changes by its words alone, such as while its user corrects a Secret."""


@dataclass(slots=True)
class KnownIssuer:
    """An issuer as it was last seen, its backend (None: see `problem`), and its state (None: not yet checked)."""

    issuer: Issuer
    backend: Backend | None
    problem: str
    state: IssuerState | None = None
    refused: str = ""
    """The message of the status that the API server refused last."""
    not_after: datetime | None = None
    """Until when the CA certificate is valid that signs now, as far as it is known."""
    told: datetime | None = None
    """When its status was written, or last seen to be right."""
    reworded: tuple[datetime, ...] = ()
    """When nothing but the words of its status changed."""

    @property
    def is_ready(self) -> bool:
        """It can be asked for certificates, as its last check found."""
        return self.state is not None and self.state.ready

    @property
    def ca(self) -> GuardedBackend:
        """Its backend, as it is called for requests. Only for an issuer that has one."""
        assert self.backend is not None
        version = self.state.version if self.state is not None else ""
        return GuardedBackend(
            issuer_name(self.issuer.key), self.issuer.backend, self.backend, self.issuer.policy, version
        )


class Issuers:
    """changed: called with the key of an issuer of which requests may now get another answer.

    session: makes what all backends share, when the first of them asks for it. scope: who has the shard of an issuer's
    name writes its status.
    """

    def __init__(
        self,
        kube: Kube,
        cluster_resource_namespace: str,
        clock: Callable[[], datetime],
        changed: Callable[[ObjectKey], None],
        challenges: Challenges,
        programs: Path | None,
        session: Callable[[], aiohttp.ClientSession],
        scope: Scope,
    ) -> None:
        self._kube, self._clock, self._changed, self._challenges = kube, clock, changed, challenges
        self._programs, self._make_session, self._scope = programs, session, scope
        self._cluster_resource_namespace = cluster_resource_namespace
        self._session: aiohttp.ClientSession | None = None
        self._live: dict[ObjectKey, KnownIssuer] = {}
        self._readers: dict[SecretKey, set[ObjectKey]] = {}
        self._forgetting: set[asyncio.Task[None]] = set()  # a task that nobody holds may vanish

    async def close(self) -> None:
        """Wait for what is under way, and close the connections to the CAs."""
        await asyncio.gather(*self._forgetting, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._make_session()
        return self._session

    def get(self, key: ObjectKey) -> KnownIssuer | None:
        """The issuer as it was last seen; None if there is none."""
        return self._live.get(key)

    def samples(self) -> Iterator[IssuerSample]:
        """For the metrics: each issuer as it stands now. Called in a thread, so nothing is changed here."""
        for key, live in list(self._live.items()):
            try:
                expiry = live.not_after.timestamp() if live.not_after is not None else None
                yield IssuerSample(key.kind, key.namespace, key.name, live.is_ready, expiry)
            except Exception:
                SKIPPED_SAMPLES.inc()  # one that shows nothing hides no other
                logger.debug("%s: no sample", key, exc_info=True)

    def uids(self) -> Iterator[tuple[ObjectKey, str]]:
        """All there are, with their UIDs."""
        return ((key, live.issuer.uid) for key, live in self._live.items())

    def readers(self, secret: SecretKey) -> set[ObjectKey]:
        """The issuers that read `secret` at their last check."""
        return self._readers.get(secret, set())

    def is_unchecked(self, key: ObjectKey) -> bool:
        """It is there, and its first check is not over."""
        live = self._live.get(key)
        return live is not None and live.state is None

    def observe(self, issuer: Issuer) -> bool:
        """File what the watch showed; True if the issuer has to be checked."""
        live = self._live.get(issuer.key)
        if live is not None and live.issuer.uid == issuer.uid:
            if not is_newer(issuer.resource_version, live.issuer.resource_version):
                return False
            if live.issuer.generation == issuer.generation:
                live.issuer = issuer
                return False
        if live is not None:
            self._stop_reading(issuer.key)
        self._live[issuer.key] = self._start(issuer)
        return True

    def forget(self, key: ObjectKey, uid: str) -> bool:
        """False if the issuer there is another one, or there is none."""
        live = self._live.get(key)
        if live is None or live.issuer.uid != uid:
            return False
        del self._live[key]
        self._stop_reading(key)
        forgetting = asyncio.create_task(self._challenges.forget(live.issuer))
        self._forgetting.add(forgetting)
        forgetting.add_done_callback(self._forgetting.discard)
        self._changed(key)
        return True

    async def check(self, key: ObjectKey) -> bool:
        """Ask the backend how it is, and write the issuer's status if that is news. Raises Unreachable, KubeError.

        False if that is to be done here, and may not be at this moment: who else may have the shard is not known.
        """
        live = self._live.get(key)
        if live is None:
            return True
        ready, reason, health = await self._ask(live)
        message = _bounded(live, ready, reason, health.message, self._clock())
        traits = live.backend.traits if live.backend is not None else Traits()
        state = IssuerState(
            ready=ready,
            message=_first_words(live, ready, reason, message),
            version=f"{live.issuer.uid}/{live.issuer.generation}/{health.fingerprint}",
            fingerprint=health.fingerprint,
            rotated_at=self._rotated_at(live.state, health.fingerprint),
            costs=traits.costs,
            revokes=traits.revokes,
            suggests=traits.suggests_renewal,
            needs_approval=live.issuer.needs_approval,
            policy=live.issuer.policy,
            backend=live.issuer.backend if live.backend is not None else "",
        )
        live.not_after = health.not_after
        if state != live.state:
            live.state = state
            self._changed(key)
        return await self._write_status(live, ready, reason, message)

    def _stop_reading(self, key: ObjectKey) -> None:
        """It is gone, or another one by now."""
        for secret in [secret for secret, readers in self._readers.items() if key in readers]:
            self._readers[secret].discard(key)
            if not self._readers[secret]:
                del self._readers[secret]

    def _start(self, issuer: Issuer) -> KnownIssuer:
        namespace = issuer.namespace or self._cluster_resource_namespace

        async def read_secret(name: str) -> Mapping[str, bytes] | None:
            if not isinstance(name, str) or not name:  # admission may not have seen it
                raise Misconfigured(f"spec.{issuer.backend}: the name of a Secret in it is not text: write a name")
            secret_key = SecretKey(namespace, name)
            live = self._live.get(issuer.key)
            if live is not None and (live.issuer.uid, live.issuer.generation) == (issuer.uid, issuer.generation):
                self._readers.setdefault(secret_key, set()).add(issuer.key)
            secret = await self._kube.secrets.get(secret_key)
            if secret is None:
                return None
            if why := find_refusal(secret, issuer):
                raise Misconfigured(why)
            return secret_data(secret)

        async def write_secret(name: str, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
            await write_issuer_secret(self._kube.secrets, SecretKey(namespace, name), issuer, change)

        if issuer.problem:
            return KnownIssuer(issuer, None, issuer.problem)
        try:
            responder = IssuerResponder(self._challenges, issuer)
            context = Context(read_secret, write_secret, self._clock, self._http, responder, self._programs, namespace)
            with in_backend():
                backend = registry.create(issuer.backend, issuer.config, context)
        except Misconfigured as error:
            return KnownIssuer(issuer, None, describe_refusal(error))
        except BaseException as error:  # nothing is awaited here, so that none is the end of our own task
            log_unexpected(issuer.key, issuer.backend, "create", error)
            return KnownIssuer(issuer, None, describe_unexpected(issuer.backend, error))
        return KnownIssuer(issuer, backend, "")

    async def _ask(self, live: KnownIssuer) -> tuple[bool, Reason, Health]:
        if live.backend is None:
            return False, Reason.MISCONFIGURED, Health(live.problem)
        outcome, limit = "error", asyncio.timeout(_PATIENCE)
        try:
            with in_backend():
                async with limit:
                    answer = await live.backend.check()
            health = bound_health(answer)
            outcome = "ok"
            return True, Reason.READY, health
        except TimeoutError:
            outcome = "unavailable"
            return False, Reason.UNAVAILABLE, Health(describe_silence(limit, _PATIENCE))
        except SecretNotFound as error:
            outcome = "misconfigured"
            return False, Reason.SECRET_NOT_FOUND, Health(describe_refusal(error))
        except Misconfigured as error:
            outcome = "misconfigured"
            return False, Reason.MISCONFIGURED, Health(describe_refusal(error))
        except BackendError as error:
            outcome = "unavailable"
            return False, Reason.UNAVAILABLE, Health(describe_refusal(error))
        except KubeError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            outcome = "misconfigured"
            text = f"the operator lacks a permission: {redact(str(error))}: grant it, see docs/operations.md, Rights"
            return False, Reason.MISCONFIGURED, Health(text)
        except Unreachable:
            raise
        except BaseException as error:
            if is_own_end(error):
                raise
            log_unexpected(live.issuer.key, live.issuer.backend, "check", error)
            return False, Reason.UNAVAILABLE, Health(describe_unexpected(live.issuer.backend, error))
        finally:
            CA_CALLS.labels(live.issuer.backend, "check", outcome).inc()

    def _rotated_at(self, before: IssuerState | None, fingerprint: str) -> datetime | None:
        now = self._clock()
        if before is not None and fingerprint in ("", before.fingerprint):
            # One later than now was noted by a clock that was put back since.
            return min(before.rotated_at, now) if before.rotated_at is not None else None
        return now

    async def _write_status(self, live: KnownIssuer, ready: bool, reason: Reason, message: str) -> bool:
        """As `check`."""
        issuer, now = live.issuer, self._clock()
        conditions = issuer_conditions(issuer.generation, ready, reason, message, issuer.conditions, now)
        if live.told is None or conditions == issuer.conditions:
            live.told = live.told or now
        shard = shard_of(issuer.namespace, issuer.name)
        if conditions == issuer.conditions or shard not in self._scope:
            return True
        if _still_away(issuer, ready, reason) and timedelta(0) <= now - live.told < _NEWS:
            return True
        if not self._scope.may_act(shard):
            return False
        body = {"conditions": condition_bodies(conditions), "observedGeneration": issuer.generation}
        try:
            answer = await self._kube.custom_objects.patch_status(issuer.key, issuer.resource_version, body)
        except KubeError as error:
            if error.status == 409 or error.is_not_found:
                return True  # gone, or newer: the watch shows it
            if error.status == 422:
                if live.refused != message:
                    logger.warning(
                        "%s: the API server refuses its status, which stays as it is: %s",
                        issuer.key,
                        quoted(error, 500),
                    )
                live.refused = message
                return True
            raise
        if live.issuer is issuer:
            live.issuer = replace(issuer, resource_version=answer["metadata"]["resourceVersion"], conditions=conditions)
            live.told = now
        logger.log(logging.INFO if ready else logging.WARNING, "%s: %s: %s", issuer.key, reason, message)
        return True


def _bounded(live: KnownIssuer, ready: bool, reason: Reason, message: str, now: datetime) -> str:
    """What to say: the message, or that of the status, if those of a backend are other ones again and again.

    All that wait for the issuer are told of each change.
    """
    before = _matching_condition(live.issuer, ready, reason)
    if before is None or before.message == message or _still_away(live.issuer, ready, reason):
        return message
    live.reworded = tuple(at for at in live.reworded if timedelta(0) <= now - at < _NEWS)
    if len(live.reworded) >= _REWORDED:
        return before.message
    live.reworded += (now,)
    return message


def _matching_condition(issuer: Issuer, ready: bool, reason: Reason) -> Condition | None:
    """The condition Ready of its status, if that says what is to be said but for the words."""
    wanted = ("Ready", str(ready), reason, issuer.generation)
    return next((c for c in issuer.conditions if (c.type, c.status, c.reason, c.observed_generation) == wanted), None)


def _still_away(issuer: Issuer, ready: bool, reason: Reason) -> bool:
    """Its status says what is to be said but for the words, which are the CA's, and may be others each time."""
    return reason is Reason.UNAVAILABLE and _matching_condition(issuer, ready, reason) is not None


def _first_words(live: KnownIssuer, ready: bool, reason: Reason, message: str) -> str:
    """What requests that wait for it are told: in which words it became so, and not each time anew."""
    if not _still_away(live.issuer, ready, reason):
        return message
    if live.state is not None and not live.state.ready:
        return live.state.message
    return next((c.message for c in live.issuer.conditions if c.type == "Ready"), message)
