"""How control over a name is proven: which of an issuer's solvers serves it, and what that one sets up."""

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from csr_acme import Authorization, Challenge, Identifier, challenges
from csr_acme.jose import AccountKey
from csr_operator.backends.acme.self_check import find_unreachable
from csr_operator.dns.base import Provider
from csr_operator.dns.providers import make_provider
from csr_operator.dns.resolve import make_resolver
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected
from csr_operator.plugin.text import redact

_DOMAIN = re.compile(r"[a-z0-9.-]{1,253}")


def name_of(authorization: Authorization) -> str:
    """As the user wrote it, with `*.` for a wildcard."""
    return ("*." if authorization.wildcard else "") + authorization.identifier.value


@dataclass(frozen=True, slots=True)
class Prover:
    """The account that proves something, at its CA.

    own_url: the account's URL is of the CA's own host. caa_identities: as the CA's directory has them.
    """

    account_url: str
    key: AccountKey = field(repr=False)
    own_url: bool
    caa_identities: Collection[str]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a CA wants to see. name: as the user wrote it, with `*.` for a wildcard."""

    name: str
    authorization: Authorization
    challenge: Challenge
    prover: Prover

    @property
    def key(self) -> AccountKey:
        return self.prover.key

    @property
    def identifier(self) -> Identifier:
        return self.authorization.identifier


class Solver(Protocol):
    """All methods raise BackendError."""

    @property
    def challenge_type(self) -> str: ...

    @property
    def by_hand(self) -> bool:
        """A person sets up what the CA looks at."""
        ...

    @property
    def exclusive(self) -> bool:
        """A name shows one proof at a time: `present` raises Retryable while there is another order's."""
        ...

    def check(self, proof: Proof) -> None:
        """Raises Rejected for what it does not show, whatever the CA wants. No I/O."""
        ...

    async def present(self, proof: Proof) -> None:
        """Set up what the CA looks at; there already counts as done."""
        ...

    async def find_missing(self, proofs: Collection[Proof]) -> dict[str, str]:
        """For each name that the CA would not see proven yet: what is missing, to the user."""
        ...

    async def withdraw(self, proof: Proof) -> None:
        """Gone already counts as done."""
        ...


class Http01:
    """Proofs by a file that is served over HTTP (RFC 8555, section 8.3)."""

    challenge_type: ClassVar[str] = "http-01"
    by_hand: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False

    def __init__(self, route: Mapping[str, Any], context: Context) -> None:
        context.responder.check_http(route)
        self._route, self._responder, self._session = route, context.responder, context.session

    def check(self, proof: Proof) -> None:
        _check_token(proof)

    async def present(self, proof: Proof) -> None:
        answer = challenges.key_authorization(proof.challenge.token, proof.key)
        await self._responder.present_http(proof.identifier.value, proof.challenge.token, answer, self._route)

    async def find_missing(self, proofs: Collection[Proof]) -> dict[str, str]:
        if self._route.get("selfCheck") is False:
            return {}

        async def look(proof: Proof) -> str:
            answer = challenges.key_authorization(proof.challenge.token, proof.key)
            return await find_unreachable(self._session(), proof.identifier.value, proof.challenge.token, answer)

        reasons = await asyncio.gather(*map(look, proofs))
        return {proof.name: why for proof, why in zip(proofs, reasons, strict=True) if why}

    async def withdraw(self, proof: Proof) -> None:
        await self._responder.withdraw_http(proof.identifier.value, proof.challenge.token)


class TlsAlpn01:
    """Proofs by a certificate that is served to who asks for `acme-tls/1` (RFC 8737)."""

    challenge_type: ClassVar[str] = "tls-alpn-01"
    by_hand: ClassVar[bool] = False
    exclusive: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        self._responder = context.responder

    def check(self, proof: Proof) -> None:
        _check_token(proof)

    async def present(self, proof: Proof) -> None:
        answer = challenges.key_authorization(proof.challenge.token, proof.key)
        await self._responder.present_alpn(proof.identifier.value, answer)

    async def find_missing(self, proofs: Collection[Proof]) -> dict[str, str]:
        return {}

    async def withdraw(self, proof: Proof) -> None:
        answer = challenges.key_authorization(proof.challenge.token, proof.key)
        await self._responder.withdraw_alpn(proof.identifier.value, answer)


class Dns:
    """dns-01, dns-account-01 and dns-persist-01. Without a provider, a person sets the record.

    issuer_domains: `spec.acme.issuerDomainNames`.
    """

    exclusive: ClassVar[bool] = False

    def __init__(
        self, config: Mapping[str, Any], context: Context, where: str, issuer_domains: Collection[str]
    ) -> None:
        self._issuer_domains = frozenset(map(str.lower, issuer_domains))
        self.challenge_type: str = config.get("challengeType") or "dns-01"
        settings = {"challengeType", "recursiveNameservers", "recursiveNameserversOnly"}
        self._provider: Provider | None = make_provider(config, context, where) if config.keys() - settings else None
        self.by_hand = self._provider is None
        self._resolver = make_resolver(config, where)

    def check(self, proof: Proof) -> None:
        if self.challenge_type == "dns-persist-01":
            self._persistent(proof)
        else:
            _check_token(proof)

    def _persistent(self, proof: Proof) -> str:
        """The value of dns-persist-01. It stays, and is worth a certificate at the CA that it names by a domain, to the
        account that it names by a URL: both have to be those of the issuer's CA."""
        url = proof.prover.account_url
        if not proof.prover.own_url or ";" in url:
            raise Rejected(f"{proof.name}: the account {redact(url, ())} is not at the CA's own host: use dns-01")
        known = self._issuer_domains | {name.lower() for name in proof.prover.caa_identities}
        for domain in map(str.lower, proof.challenge.issuer_domains):
            if domain in known and _DOMAIN.fullmatch(domain):
                return challenges.dns_persist_value(domain, url, wildcard=proof.authorization.wildcard)
        if not proof.challenge.issuer_domains:
            raise Rejected(f"{proof.name}: the CA's dns-persist-01 challenge has no issuer domain name: use dns-01")
        named = redact(", ".join(proof.challenge.issuer_domains), ())
        raise Rejected(
            f"{proof.name}: of the CA's issuer domain names ({named}) none is in the caaIdentities of its directory: "
            "if one of them is this CA's, add it to spec.acme.issuerDomainNames, else use dns-01"
        )

    def record(self, proof: Proof) -> tuple[str, str]:
        """Name and value of the TXT record."""
        domain, token = proof.identifier.value, proof.challenge.token
        match self.challenge_type:
            case "dns-persist-01":
                return challenges.dns_persist_name(domain), self._persistent(proof)
            case "dns-account-01":
                name = challenges.dns_account_name(domain, proof.prover.account_url)
            case _:
                name = challenges.dns_name(domain)
        return name, challenges.dns_value(token, proof.key)

    async def present(self, proof: Proof) -> None:
        if self._provider is not None:
            name, value = self.record(proof)
            await self._provider.present(await self._resolver.target(name), value)

    async def find_missing(self, proofs: Collection[Proof]) -> dict[str, str]:
        wanted = [self.record(proof) for proof in proofs]
        targets = await asyncio.gather(*(self._resolver.target(name) for name, _ in wanted))
        records = {(where, value): proof for where, (_, value), proof in zip(targets, wanted, proofs, strict=True)}
        unseen = await self._resolver.propagated(records)
        if self._provider is None:
            return {records[record].name: f'set the TXT record {record[0]} to "{record[1]}"' for record in unseen}
        return {records[record].name: why for record, why in unseen.items()}

    async def withdraw(self, proof: Proof) -> None:
        if self._provider is not None and self.challenge_type != "dns-persist-01":  # that one is to stay
            name, value = self.record(proof)
            await self._provider.withdraw(await self._resolver.target(name), value)


class Solvers:
    """config: `spec.acme`. Raises Misconfigured."""

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        domains = config.get("issuerDomainNames") or ()
        self._solvers = [
            (solver.get("selector") or {}, _solver(solver, context, f"spec.acme.solvers[{number}]", domains))
            for number, solver in enumerate(config.get("solvers") or ())
        ]

    def choose(self, authorization: Authorization, prover: Prover) -> tuple[Solver, Proof] | None:
        """The best of those that fit the name and prove it in a way that the CA offers.

        None if the CA offers none that fits, though there are such solvers: it may have settled the matter otherwise.
        Raises Rejected if no solver fits the name, or the one that does will not show what the CA wants.
        """
        name = name_of(authorization)
        fitting = sorted(
            ((rank, number) for number, (selector, _) in enumerate(self._solvers) if (rank := _rank(selector, name))),
            key=lambda candidate: (tuple(-part for part in candidate[0]), candidate[1]),
        )
        if not fitting:
            raise Rejected(
                f"{name}: no solver of the issuer fits: add one to spec.acme.solvers, or extend the selector of one"
            )
        for _, number in fitting:
            solver = self._solvers[number][1]
            for challenge in authorization.challenges:
                if challenge.type == solver.challenge_type:
                    proof = Proof(name, authorization, challenge, prover)
                    solver.check(proof)
                    return solver, proof
        return None

    def not_offered(self, authorization: Authorization) -> str:
        """For the user, when `choose` found none."""
        # Some CAs send them in another order each time.
        offered = redact(", ".join(sorted({challenge.type for challenge in authorization.challenges})) or "nothing", ())
        ours = ", ".join(sorted({solver.challenge_type for _, solver in self._solvers}))
        name = name_of(authorization)
        return f"{name}: the CA offers {offered}, and the issuer's solvers support {ours}: add one that fits"


async def find_missing(chosen: Collection[tuple[Solver, Proof]]) -> dict[str, str]:
    """As `Solver.find_missing`, of several at once."""
    by_solver: dict[int, tuple[Solver, list[Proof]]] = {}
    for solver, proof in chosen:
        by_solver.setdefault(id(solver), (solver, []))[1].append(proof)
    reasons = await asyncio.gather(*(solver.find_missing(proofs) for solver, proofs in by_solver.values()))
    return {name: why for missing in reasons for name, why in missing.items()}


def _check_token(proof: Proof) -> None:
    if not proof.challenge.token:
        raise Rejected(f"{proof.name}: the CA's {proof.challenge.type} has no token (RFC 8555, section 8.3)")


def _solver(config: Mapping[str, Any], context: Context, where: str, issuer_domains: Collection[str]) -> Solver:
    if "http01" in config:
        return Http01(config["http01"], context)
    if "tlsALPN01" in config:
        return TlsAlpn01(context)
    if "dns01" in config:
        return Dns(config["dns01"], context, f"{where}.dns01", issuer_domains)
    raise Misconfigured(f"{where}: write one of http01, dns01 and tlsALPN01")


def _rank(selector: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    """How well a selector fits: by the exact name, then by the longest zone, then by fitting all; None: not at all."""
    names, zones = selector.get("dnsNames") or (), selector.get("dnsZones") or ()
    if name in {given.lower() for given in names}:
        return (2, 0)
    bare = name.removeprefix("*.")
    fitting = [zone for given in zones if bare == (zone := given.lower().strip(".")) or bare.endswith(f".{zone}")]
    if fitting:
        return (1, max(map(len, fitting)))
    return None if names or zones else (0, 0)
