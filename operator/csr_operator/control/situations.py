"""Gathers what a decision is made on: pure `decide` is given all there is besides the request."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from csr_operator.api.keys import ObjectKey
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import SecretMeta
from csr_operator.decisions.actions import Action, Hold
from csr_operator.decisions.decide import decide
from csr_operator.decisions.obstacles import namesake_of
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.policy_facts import consider
from csr_operator.decisions.world import IssuerState, World
from csr_operator.kube.namespaces import Namespaces
from csr_operator.kube.secrets import Secrets
from csr_operator.plugin.offload import LARGE, offload
from csr_operator.settings import Settings

from .issuers import Issuers
from .memory import Look, Memory
from .paces import Paces
from .renewal_advice import RenewalAdvice
from .store import Store
from .strange_secrets import parse_or_set_aside


class Situations:
    """clock: the time now, in UTC."""

    def __init__(
        self,
        settings: Settings,
        secrets: Secrets,
        namespaces: Namespaces,
        store: Store,
        issuers: Issuers,
        memory: Memory,
        paces: Paces,
        advice: RenewalAdvice,
        seal: Seal,
        clock: Callable[[], datetime],
    ) -> None:
        self._rotation_spread = timedelta(seconds=settings.rotation_spread)
        self._recheck = timedelta(seconds=settings.issuer_check_interval)
        self._secrets, self._namespaces, self._store, self._issuers = secrets, namespaces, store, issuers
        self._memory, self._paces, self._advice = memory, paces, advice
        self._seal, self._clock = seal, clock

    async def decide(self, request: CertificateRequest) -> tuple[World, Action] | None:
        """What is, and what is to be done. None while an issuer's first check is under way, which wakes what depends
        on it. Raises KubeError, Unreachable."""
        world = await self._world(request)
        if world is None:
            return None
        action = decide(request, world)
        if isinstance(action, Hold) and self._may_have_one(request, world) and await self.look(request) is not None:
            return await self.decide(request)
        waits = isinstance(action, Hold) and action.reason is Reason.REVOCATION_PENDING and request.being_deleted
        if waits and await self._namespaces.is_going(request.namespace):
            return world, decide(request, replace(world, leaving=True))
        return world, action

    async def look(self, request: CertificateRequest) -> SecretMeta | None:
        """The Secret that no watch shows: somebody else's, or the request's own that lost its label. Raises KubeError,
        Unreachable."""
        obj = await self._secrets.get_metadata(request.secret)
        secret = None if obj is None else parse_or_set_aside(obj, lambda: parse_secret_meta(obj, self._seal))
        if secret is not None and owns(request, secret):
            self._store.put_secret(secret)
        else:
            self._memory.recall(request).look = Look(request.secret, secret, self._clock())
        return secret

    def outdate_look(self, request: CertificateRequest) -> None:
        """What was seen by the last look is about to change."""
        remembered = self._memory.recall(request)
        if remembered.look is not None:
            remembered.look = replace(remembered.look, at=None)

    def had_one(self, request: CertificateRequest) -> bool:
        """It had a certificate, or a Secret, before."""
        return request.status.revision > 0 or self._store.is_bereft(request)

    async def _world(self, request: CertificateRequest) -> World | None:
        states = {}
        labels: Mapping[str, str] | None = None
        for key in request.issuers:
            live = self._issuers.get(key)
            if live is None:
                continue
            if live.state is None:
                return None
            states[key] = live.state
            if live.state.policy is not None and live.state.policy.needs_labels and labels is None:
                labels = await self._namespaces.get_labels(request.namespace)
        # Whose Secret it is, that counts.
        unshown = await self._unshown(request) if self._may_be_unshown(request) else None
        secret = self._store.secret(request) or unshown
        for key in _issuers_to_ask(request, secret) - states.keys():
            if (live := self._issuers.get(key)) is not None:
                states[key] = live.state or IssuerState(False, "it is being checked", "", revokes=True)
        if (weight := request.spec.weight) > LARGE:  # what is small is looked at when it is asked for, if it is
            policies = [state.policy for state in states.values() if state.policy is not None]
            await offload(weight, consider, request, policies, labels or {})
        remembered = self._memory.recall(request)
        return World(
            now=self._clock(),
            rotation_spread=self._rotation_spread,
            issuers=states,
            secret=secret,
            staged=self._store.staged(request),
            waiting=remembered.waiting,
            failures=remembered.failures,
            unrevoked=remembered.unrevoked,
            rival=self._store.rival(request),  # after all that was waited for: it may be at work since
            labels=labels,
            recheck=self._recheck,
            consult_at=self._advice.due(request, secret, states),
            pace=self._paces.of(request, secret),
            namesakes=frozenset(
                other
                for key in request.issuers
                if key not in states and self._issuers.get(other := namesake_of(request, key)) is not None
            ),
        )

    def _last_look(self, request: CertificateRequest) -> Look | None:
        look = self._memory.recall(request).look
        return look if look is not None and look.secret == request.secret else None

    def _may_be_unshown(self, request: CertificateRequest) -> bool:
        """There may be a Secret that no watch shows, and it matters before a certificate is to be issued."""
        if not request.spec.secret_name:
            return False
        if self._store.secret(request) is not None:
            self._memory.recall(request).look = None
            return False
        if self._store.rival(request):
            return True
        if request.being_deleted:
            return request.is_guarded
        look = self._last_look(request)
        known = look is not None and look.meta is not None
        return known and not request.problem and self._store.staged(request) is None

    def _may_have_one(self, request: CertificateRequest, world: World) -> bool:
        """What holds it up, such as an approval, does not keep it from having a Secret that is there already, and that
        nobody has looked for: its own, or, if an issuer is ready, one to take over."""
        if request.problem or request.being_deleted or self._last_look(request) is not None:
            return False
        ready = any(world.issuers[key].ready for key in request.issuers if key in world.issuers)
        return (ready or self.had_one(request)) and world.secret is None and world.staged is None

    async def _unshown(self, request: CertificateRequest) -> SecretMeta | None:
        """As `look`, if the last one was too long ago."""
        now, look = self._clock(), self._last_look(request)
        if look is not None and look.at is not None and look.at <= now < look.at + self._recheck:
            return look.meta
        return await self.look(request)


def _issuers_to_ask(request: CertificateRequest, secret: SecretMeta | None) -> set[ObjectKey]:
    """The issuers that have, or may have, to revoke something."""
    if secret is None:
        return set()
    names = {debt.issuer for debt in secret.debts}
    if secret.record is not None:
        names.add(secret.record.issuer)
    return {key for name in names if (key := request.issuer_key(name)) is not None}
