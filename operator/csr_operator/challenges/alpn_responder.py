"""Answers tls-alpn-01 (RFC 8737), whichever replica presented it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus

from csr_operator.api.issuer import Issuer
from csr_operator.fence import Fenced, check_fence, current_fence, fenced
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.objects import Object
from csr_operator.kube.resources import RouteKind
from csr_operator.kube.routes import Routes
from csr_operator.plugin.errors import BackendError, Rejected, Retryable

from .alpn import ALPN_SELECTOR, AlpnChallenge, Note, annotations_of, note_object, object_name, parse_note
from .look import Look
from .refusals import to_backend_error
from .routes import FRESH, LONGEST

logger = logging.getLogger(__name__)

_TURN = timedelta(minutes=10)
"""For so long a name is the first one's, whoever else wants it: who has no CA look keeps nobody waiting for longer."""

_BELIEVED = timedelta(minutes=5)
"""For so long a challenge in memory is taken for the one that the name has: less than a turn, as clocks may differ."""

_KIND = RouteKind.CONFIG_MAP


@dataclass(frozen=True, slots=True)
class _Presented:
    challenge: AlpnChallenge
    issuer: Issuer
    since: datetime
    written: datetime
    version: str
    may_act: Callable[[], bool]
    """The request is still this replica's: else another one presents, and withdraws, its challenge."""


class AlpnChallenges:
    """What this process answers.

    namespace: the operator's own. clock: the time now, in UTC.
    """

    def __init__(self, routes: Routes, namespace: str, clock: Callable[[], datetime]) -> None:
        self._routes, self._namespace, self._clock = routes, namespace, clock
        self._presented: dict[str, _Presented] = {}  # by the name that a CA asks for
        self._look = Look(self._read)

    async def answer(self, name: str, look: bool) -> AlpnChallenge | None:
        """How to answer who asks for `name` (the SNI); None if nobody presented that.

        look: at the cluster, for what is not in memory, or has been for long.
        """
        name = name.lower().removesuffix(".")
        known = self._known(name)
        if known is not None:
            return known.challenge
        notes = await self._look.fresh() if look else None
        if not isinstance(notes, dict):
            remembered = self._presented.get(name)
            return remembered.challenge if remembered is not None else None
        note = notes.get(object_name(name))
        return note.challenge if note is not None else None

    async def present(self, challenge: AlpnChallenge, issuer: Issuer) -> None:
        """Raises Rejected, Retryable, Misconfigured.

        The ConfigMap decides who is first, also among replicas.
        """
        if not challenge.is_possible:
            raise Rejected("tlsALPN01: the CA's token is not base64url (RFC 8555, section 8.3), and so is not answered")
        known = self._known(challenge.name)
        if known is not None:
            if known.challenge != challenge:
                raise _occupied(challenge, str(known.issuer.key), issuer)
            return
        now = self._clock()
        written, version = await self._write(challenge, issuer, now)
        self._presented[challenge.name] = _Presented(challenge, issuer, now, written, version, current_fence())

    async def withdraw(self, challenge: AlpnChallenge) -> None:
        """Raises Retryable, Misconfigured."""
        known = self._presented.get(challenge.name)
        if known is not None and known.challenge != challenge:
            known = None
        if known is None or not await self._delete(challenge, known.version):
            note = (await self._notes()).get(challenge.object_name)
            if note is not None and note.challenge == challenge and not await self._delete(challenge, note.version):
                raise Retryable(f"tlsALPN01: somebody else changes the ConfigMap of the challenge at {challenge.host}")
        known = self._presented.get(challenge.name)
        if known is not None and known.challenge == challenge:
            del self._presented[challenge.name]

    async def forget(self, issuer: Issuer) -> None:
        """Remove what is there for an issuer that is gone. What cannot be, now, a sweep removes after a day."""
        for name, presented in list(self._presented.items()):
            if presented.issuer.uid == issuer.uid:
                try:
                    await self.withdraw(presented.challenge)
                except BackendError as error:
                    logger.warning("%s is gone: %s", issuer.key, error)
                    self._presented.pop(name, None)  # or it would be refreshed for a week

    async def refresh(self) -> None:
        """Have what is still presented last, and forget what is another replica's, or another order's, by now."""
        for name, presented in list(self._presented.items()):
            try:
                with fenced(presented.may_act):
                    check_fence()
                    if self._clock() - presented.since >= LONGEST:
                        await self.withdraw(presented.challenge)
                    elif self._clock() - presented.written >= FRESH:
                        await self._write_again(name, presented)
            except Fenced:
                self._drop(name, presented)
            except BackendError as error:
                logger.warning("%s", error)

    def needs(self, obj: Object) -> bool:
        """Whether the ConfigMap is one of those presented here."""
        challenge = parse_note(obj).challenge
        known = self._presented.get(challenge.name) if challenge is not None else None
        return known is not None and known.challenge == challenge

    def _known(self, name: str) -> _Presented | None:
        """What this process knows without a look that the name has."""
        known = self._presented.get(name)
        if known is None or not known.may_act() or abs(self._clock() - known.written) >= _BELIEVED:
            return None
        return known

    async def _write(self, challenge: AlpnChallenge, issuer: Issuer, now: datetime) -> tuple[datetime, str]:
        """When it was presented, and the version, of the ConfigMap that is the challenge's."""
        try:
            return now, await self._routes.create(
                _KIND, self._namespace, note_object(challenge, issuer, self._namespace, now)
            )
        except (KubeError, Unreachable) as error:
            if not isinstance(error, KubeError) or error.status != HTTPStatus.CONFLICT:
                raise self._to_backend_error(error) from None
        note = (await self._notes()).get(challenge.object_name)
        if note is None:
            raise Retryable(f"tlsALPN01: another challenge at {challenge.host} ended just now", timedelta(seconds=1))
        if note.challenge == challenge:
            return note.presented, note.version  # by this account: before a crash, or by another replica
        if note.challenge is not None and abs(now - note.presented) < _TURN:
            raise _occupied(challenge, note.issuer, issuer)
        if note.challenge is not None:
            logger.info("the challenge of %s at %s has had its turn", note.issuer, challenge.host)
        version = await self._annotate(challenge, issuer, now, note.version)
        if version is None:
            raise Retryable(f"tlsALPN01: another challenge at {challenge.host} was faster", timedelta(seconds=1))
        return now, version

    async def _write_again(self, name: str, presented: _Presented) -> None:
        now, challenge, issuer = self._clock(), presented.challenge, presented.issuer
        written, version = now, await self._annotate(challenge, issuer, now, presented.version)
        if version is None:  # it is gone, or another one
            try:
                written, version = await self._write(challenge, issuer, now)
            except BackendError:
                self._drop(name, presented)  # should it be there all the same, it is found there
                raise
        if self._presented.get(name) is presented:
            self._presented[name] = replace(presented, written=written, version=version)
        else:  # withdrawn meanwhile
            await self._delete(challenge, version)

    async def _annotate(self, challenge: AlpnChallenge, issuer: Issuer, now: datetime, version: str) -> str | None:
        """The new version; None if it is not the one of `version` any more."""
        annotations = annotations_of(challenge, issuer, now)
        try:
            return await self._routes.annotate(_KIND, self._namespace, challenge.object_name, version, annotations)
        except (KubeError, Unreachable) as error:
            if isinstance(error, KubeError) and error.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                return None
            raise self._to_backend_error(error) from None

    async def _delete(self, challenge: AlpnChallenge, version: str) -> bool:
        """False if it is not the one of `version` any more."""
        try:
            return await self._routes.delete(_KIND, self._namespace, challenge.object_name, version)
        except (KubeError, Unreachable) as error:
            raise self._to_backend_error(error) from None

    async def _notes(self) -> Mapping[str, Note]:
        """All that are there. Raises Retryable, Misconfigured."""
        notes = await self._look.fresh()
        if isinstance(notes, dict):
            return notes
        raise self._to_backend_error(notes)

    async def _read(self) -> dict[str, Note] | KubeError | Unreachable:
        """By the name of the ConfigMap; why, if they cannot be read."""
        notes: dict[str, Note] = {}
        try:
            async for obj in self._routes.list(_KIND, self._namespace, ALPN_SELECTOR):
                notes[obj["metadata"]["name"]] = parse_note(obj)
        except (KubeError, Unreachable) as error:
            self._look.failed(_KIND, error)
            return error
        return notes

    def _drop(self, name: str, presented: _Presented) -> None:
        if self._presented.get(name) is presented:
            del self._presented[name]

    def _to_backend_error(self, error: KubeError | Unreachable) -> BackendError:
        return to_backend_error(error, "tlsALPN01", _KIND, self._namespace)


def _occupied(challenge: AlpnChallenge, holder: str, issuer: Issuer) -> Retryable:
    """holder: the issuer that is first; not told to an Issuer of another namespace."""
    own = str(issuer.key)
    whose = holder if holder == own or holder.startswith("ClusterIssuer ") else "another issuer"
    return Retryable(
        f"tlsALPN01: {whose} has another challenge at {challenge.host}, and is answered first: a CA does not say which "
        "one it looks at"
    )
