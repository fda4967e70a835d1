"""Answers the challenges for which a CA connects to the name itself, whichever replica presented them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind
from csr_operator.fence import current_fence
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.resources import RouteKind
from csr_operator.kube.routes import Routes
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable

from .alpn import AlpnChallenge
from .alpn_responder import AlpnChallenges
from .look import Look
from .refusals import to_backend_error
from .routes import (
    CHALLENGE_LABEL,
    FRESH,
    LONGEST,
    Challenge,
    check_route,
    host_name,
    is_answer,
    is_token,
    note_object,
    parse_challenge,
    presented_at,
    read_route,
    route_kind,
    route_namespace,
    route_object,
)

logger = logging.getLogger(__name__)

_FORGOTTEN = timedelta(hours=24)
"""An object that nobody wrote for so long is of no order any more."""

_SWEEP = 3600.0

_Key = tuple[str, str]  # host and token


@dataclass(frozen=True, slots=True)
class _Presented:
    challenge: Challenge
    route: Mapping[str, Any]
    issuer: Issuer
    since: datetime
    written: datetime
    may_act: Callable[[], bool]
    """The request is still this replica's: else another one presents, and withdraws, its challenge."""


class Challenges:
    """What this process answers.

    namespace: the operator's own. clock: the time now, in UTC. alpn: of tls-alpn-01, None if nothing listens for it.
    for_issuers: not only for ClusterIssuers.
    """

    def __init__(
        self,
        routes: Routes,
        namespace: str,
        clock: Callable[[], datetime],
        alpn: AlpnChallenges | None,
        *,
        for_issuers: bool = False,
    ) -> None:
        self._routes, self._namespace, self._clock = routes, namespace, clock
        self.alpn = alpn
        self._for_issuers = for_issuers
        self._presented: dict[_Key, _Presented] = {}
        self._seen: dict[RouteKind, Mapping[_Key, Challenge]] = {}
        self._look = Look(self._read)

    async def answer(self, host: str, token: str) -> str | None:
        """The key authorization for `token` at `host` (a header Host); None if nobody presented that.

        What is not in memory is looked up in the cluster, where at most one look a second serves all who ask.
        """
        if not is_token(token):
            return None
        key = (host_name(host), token)
        if key in self._presented:
            return self._presented[key].challenge.answer
        challenge = self._seen_at(key)
        if challenge is None:
            await self._look.fresh()
            challenge = self._seen_at(key)
        return challenge.answer if challenge is not None else None

    def _seen_at(self, key: _Key) -> Challenge | None:
        return next((seen[key] for seen in self._seen.values() if key in seen), None)

    async def _read(self) -> None:
        """What cannot be looked at now stays as it was: else whoever asks for a made-up token has all be forgotten."""
        for kind in RouteKind:
            seen: dict[_Key, Challenge] = {}
            try:
                async for obj in self._routes.list(kind, self._namespace, CHALLENGE_LABEL):
                    if (challenge := parse_challenge(obj)) is not None:
                        seen[challenge.key] = challenge
                self._seen[kind] = seen
            except (KubeError, Unreachable) as error:
                self._look.failed(kind, error)

    def must_answer_for(self, issuer: Issuer, solver: str) -> None:
        """Raises Misconfigured if challenges of this issuer are not answered."""
        if issuer.kind is Kind.CLUSTER_ISSUER or self._for_issuers:
            return
        raise Misconfigured(
            f"spec.acme.solvers: {solver}: the operator answers for ClusterIssuers only, as an Issuer could prove the "
            "hosts of other namespaces by it: use a ClusterIssuer or dns01, or have the operator started with "
            "--http01-issuers=All"
        )

    async def present(self, challenge: Challenge, route: Mapping[str, Any], issuer: Issuer) -> None:
        """Raises Rejected, Retryable, Misconfigured."""
        self.must_answer_for(issuer, "http01")
        check_route(route, issuer)
        if not (is_token(challenge.token) and is_answer(challenge.answer)):
            raise Rejected("the CA's token is not base64url (RFC 8555, section 8.3), and so is not answered")
        known, now = self._presented.get(challenge.key), self._clock()
        if known is not None and known.issuer.key != issuer.key:
            if known.challenge.answer == challenge.answer:
                return  # of the same account
            # Nothing in what a CA asks tells whose challenge it looks at.
            raise Retryable(
                f"http01: {known.issuer.key} has a challenge at {challenge.host} with the same token, and is answered "
                "first"
            )
        if known is None or (known.challenge, known.route) != (challenge, route):
            if known is not None and route_kind(known.route) is not route_kind(route) and issuer.namespace:
                await self.withdraw(*challenge.key, issuer)  # what is in the issuer's namespace no sweep would find
            presented = _Presented(challenge, route, issuer, since=now, written=now, may_act=current_fence())
            await self._write(presented)
            self._presented[challenge.key] = presented

    async def _write(self, presented: _Presented) -> None:
        challenge, issuer, home, now = presented.challenge, presented.issuer, self._namespace, presented.written
        kind = route_kind(presented.route)
        bodies = [(kind, route_object(challenge, presented.route, issuer, home, now))]
        if route_namespace(kind, issuer, home) != home:
            bodies.insert(0, (RouteKind.CONFIG_MAP, note_object(challenge, kind, issuer, home, now)))
        for body_kind, body in bodies:
            try:
                await self._routes.apply(body_kind, body["metadata"]["namespace"], body)
            except (KubeError, Unreachable) as error:
                raise to_backend_error(error, "http01", body_kind, body["metadata"]["namespace"]) from None

    async def withdraw(self, host: str, token: str, issuer: Issuer) -> None:
        """Raises Retryable, Misconfigured."""
        challenge = Challenge(host_name(host), token, "")
        known = self._presented.get(challenge.key)
        if known is not None and known.issuer.key != issuer.key:
            return
        kinds = list(RouteKind) if known is None else [route_kind(known.route)]
        if known is not None and route_namespace(kinds[0], issuer, self._namespace) != self._namespace:
            kinds.append(RouteKind.CONFIG_MAP)
        for kind in kinds:
            namespace = route_namespace(kind, issuer, self._namespace)
            try:
                await self._routes.delete(kind, namespace, challenge.object_name)
            except (KubeError, Unreachable) as error:
                is_forbidden = isinstance(error, KubeError) and error.status == HTTPStatus.FORBIDDEN
                if known is None and namespace != self._namespace and is_forbidden:
                    continue  # where the operator may not delete any, it has made none
                raise to_backend_error(error, "http01", kind, namespace) from None
        self._presented.pop(challenge.key, None)

    async def forget(self, issuer: Issuer) -> None:
        """Remove what is there for an issuer that is gone. What cannot be, now, the sweep removes after a day."""
        if self.alpn is not None:
            await self.alpn.forget(issuer)
        for key, presented in list(self._presented.items()):
            if presented.issuer.uid == issuer.uid:
                try:
                    await self.withdraw(*key, issuer)
                except BackendError as error:
                    logger.warning("%s is gone: %s", issuer.key, error)
                    self._presented.pop(key, None)  # or it would be refreshed for a week

    async def sweep_for_ever(self) -> None:
        """Now and every hour: remove what no order needs any more, as a crash or a deleted issuer left it behind.

        An owner reference cannot do that: the request is in another namespace.
        """
        while True:
            await self.sweep()
            await asyncio.sleep(_SWEEP)

    async def sweep(self) -> None:
        if self.alpn is not None:
            await self.alpn.refresh()
        for key in list(self._presented):
            try:
                await self._refresh(key)
            except BackendError as error:
                logger.warning("%s", error)
        for kind in RouteKind:
            try:
                await self._remove_old(kind)
            except (KubeError, Unreachable) as error:
                logger.warning("cannot remove old challenges of kind %s in %s: %s", kind, self._namespace, error)

    async def _refresh(self, key: _Key) -> None:
        presented, now = self._presented.get(key), self._clock()
        if presented is None:
            return
        if not presented.may_act():
            del self._presented[key]
        elif now - presented.since >= LONGEST:
            await self.withdraw(*key, presented.issuer)
        elif now - presented.written >= FRESH:
            renewed = replace(presented, written=now)
            await self._write(renewed)
            if self._presented.get(key) is presented:  # not withdrawn meanwhile
                self._presented[key] = renewed

    async def _remove_old(self, kind: RouteKind) -> None:
        async for obj in self._routes.list(kind, self._namespace, CHALLENGE_LABEL):
            challenge, metadata = parse_challenge(obj), obj["metadata"]
            known = self._presented.get(challenge.key) if challenge is not None else None
            needed = known is not None and (
                route_kind(known.route) is kind
                or (kind is RouteKind.CONFIG_MAP and route_namespace(route_kind(known.route), known.issuer, "") != "")
            )
            if kind is RouteKind.CONFIG_MAP and self.alpn is not None:
                needed = needed or self.alpn.needs(obj)
            if not needed and self._clock() - presented_at(obj) >= _FORGOTTEN:
                logger.info("removing %s %s/%s of an old challenge", kind, self._namespace, metadata["name"])
                if (elsewhere := read_route(obj)) is not None:
                    await self._routes.delete(*elsewhere, metadata["name"])
                # One that is presented again just now has another version.
                await self._routes.delete(kind, self._namespace, metadata["name"], metadata["resourceVersion"])


class IssuerResponder:
    """`plugin.context.Responder` for one issuer."""

    def __init__(self, challenges: Challenges, issuer: Issuer) -> None:
        self._challenges, self._issuer = challenges, issuer

    def check_http(self, route: Mapping[str, Any]) -> None:
        self._challenges.must_answer_for(self._issuer, "http01")
        check_route(route, self._issuer)

    async def present_http(self, host: str, token: str, answer: str, route: Mapping[str, Any]) -> None:
        await self._challenges.present(Challenge(host_name(host), token, answer), route, self._issuer)

    async def withdraw_http(self, host: str, token: str) -> None:
        await self._challenges.withdraw(host, token, self._issuer)

    async def present_alpn(self, identifier: str, answer: str) -> None:
        self._challenges.must_answer_for(self._issuer, "tlsALPN01")
        if self._challenges.alpn is None:
            raise Misconfigured("tls-alpn-01: the operator listens nowhere for it: start it with --acme-tls-address")
        await self._challenges.alpn.present(AlpnChallenge(host_name(identifier), answer), self._issuer)

    async def withdraw_alpn(self, identifier: str, answer: str) -> None:
        if self._challenges.alpn is not None:
            await self._challenges.alpn.withdraw(AlpnChallenge(host_name(identifier), answer))
