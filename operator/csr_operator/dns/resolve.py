"""Where a record has to be written, and whether everybody sees it: aliases, zones and authoritative servers."""

import asyncio
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver

from csr_operator.api.reading import read_flag
from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable

from .names import format_name, parse_name
from .servers import list_addresses, parse_server

_MOST_ALIASES = 8
_MOST_QUERIES = 64
_QUERY_TIMEOUT = 3.0
_LOOKUP_TIMEOUT = 6.0

Record = tuple[str, str]
"""Name and value of a TXT record."""

_Shown = Sequence[tuple[str, Collection[bytes] | str]] | str
"""What each server has at a name, or what is wrong with it; or why no server can be asked."""


class _Server(NamedTuple):
    host: str
    port: int
    ips: Sequence[str]


class Resolver:
    """Asks recursive servers for aliases, zones and the zones' servers, and these servers for records.

    nameservers: the recursive servers, each `host` or `host:port`; those of /etc/resolv.conf if empty.
    only: look for records at `nameservers` alone, for a network that sees another DNS than the Internet (split
    horizon), or that lets nobody ask foreign servers. port: that of the authoritative servers.
    Raises Misconfigured, naming `field`.
    """

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        only: bool = False,
        port: int = 53,
        field: str = "recursiveNameservers",
    ) -> None:
        if only and not nameservers:
            raise Misconfigured(f"{field}: is missing; list the servers to ask, or remove recursiveNameserversOnly")
        self._nameservers = [parse_server(nameserver, field) for nameserver in nameservers]
        self._only, self._port = only, port
        self._slots = asyncio.Semaphore(_MOST_QUERIES)
        self._cache = dns.resolver.LRUCache(1000)

    async def target(self, name: str) -> str:
        """The name at which a record for `name` has to be written: the end of its CNAMEs. Raises Retryable, Rejected.

        The CNAME of a wildcard is no delegation: a record at `name` itself comes before it.
        """
        current = parse_name(name)
        for _ in range(_MOST_ALIASES):
            following = await self._alias(current)
            if following == current or following == await self._alias(_sibling(current)):
                return format_name(current)
            current = following
        raise Retryable(f"{name}: its CNAME records lead on and on: let them end at a name of their own")

    async def zone(self, name: str) -> str:
        """The zone that `name` lies in. Raises Retryable, Rejected."""
        return format_name(await self._zone(parse_name(name)))

    async def propagated(self, records: Collection[Record]) -> dict[Record, str]:
        """Those that not every authoritative server shows yet, each with the reason, in words that stay the same while
        nothing changes; empty if all are visible. All names are looked for at once, and nothing is waited for."""
        names = {name: parse_name(name) for name, _ in records}
        server_lists = await asyncio.gather(*(self._servers_for(name) for name in names.values()))
        servers = dict(zip(names, server_lists, strict=True))
        # Names of one zone have one list: each of its servers is asked once for each name.
        shown = dict(zip(names, await asyncio.gather(*(self._shown(names[n], servers[n]) for n in names)), strict=True))
        reasons = {(name, value): _reason(shown[name], value) for name, value in records}
        return {record: reason for record, reason in reasons.items() if reason}

    async def _alias(self, name: dns.name.Name) -> dns.name.Name:
        """Where the CNAMEs of `name` lead, as far as the nameserver knows; `name` itself if it has none."""
        response = await self._lookup(name, dns.rdatatype.TXT, cached=False)
        try:
            return response.resolve_chaining().canonical_name.canonicalize()
        except dns.exception.DNSException:
            raise Retryable(
                f"{format_name(name)}: its CNAME records lead in a circle: let them end at a name"
            ) from None

    async def _zone(self, name: dns.name.Name) -> dns.name.Name:
        current = name
        while True:
            response = await self._lookup(current, dns.rdatatype.SOA)
            for rrset in (*response.answer, *response.authority):
                if rrset.rdtype == dns.rdatatype.SOA and current.is_subdomain(rrset.name):
                    return rrset.name.canonicalize()
            if current == dns.name.root:
                raise Retryable(f"{format_name(name)}: no zone holds it, as no name above it has an SOA record")
            current = current.parent()

    async def _servers_for(self, name: dns.name.Name) -> Sequence[_Server] | str:
        """Whom to ask about `name`, or why there is nobody."""
        try:
            if self._only:
                ips = await asyncio.gather(*(list_addresses(host) for host, _ in self._nameservers))
                return [_Server(*nameserver, ip) for nameserver, ip in zip(self._nameservers, ips, strict=True)]
            zone = await self._zone(name)
            response = await self._lookup(zone, dns.rdatatype.NS)
            hosts = sorted({format_name(record.target) for record in _rdata(response, zone, dns.rdatatype.NS)})
            if not hosts:
                return f"the zone {format_name(zone)} has no NS records"
            addresses = await asyncio.gather(*map(self._addresses, hosts))
            return [_Server(host, self._port, address) for host, address in zip(hosts, addresses, strict=True)]
        except BackendError as error:
            return str(error)

    async def _addresses(self, host: str) -> Sequence[str]:
        name = parse_name(host)
        kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
        responses = await asyncio.gather(*(self._lookup(name, kind) for kind in kinds))
        addresses: list[str] = []
        for kind, response in zip(kinds, responses, strict=True):
            addresses += [record.address for rrset in response.answer if rrset.rdtype == kind for record in rrset]
        return sorted(addresses)

    async def _shown(self, name: dns.name.Name, servers: Sequence[_Server] | str) -> _Shown:
        if isinstance(servers, str):
            return servers
        answers = await asyncio.gather(*(self._at_server(name, server) for server in servers))
        return [(server.host, answer) for server, answer in zip(servers, answers, strict=True)]

    async def _at_server(self, name: dns.name.Name, name_server: _Server) -> Collection[bytes] | str:
        """The values that all addresses of a server show; those that do not answer, such as IPv6 from a network
        without it, count only if none does."""
        answers = await asyncio.gather(*(self._ask(name, ip, name_server.port) for ip in name_server.ips))
        sets = [answer for answer in answers if not isinstance(answer, str)]
        if sets:
            return frozenset.intersection(*sets)
        return next((answer for answer in answers if isinstance(answer, str)), "has no address")

    async def _ask(self, name: dns.name.Name, ip: str, port: int) -> frozenset[bytes] | str:
        flags = dns.flags.RD if self._only else dns.flags.Flag(0)
        query = dns.message.make_query(name, dns.rdatatype.TXT, flags=flags, use_edns=0, payload=1232)
        async with self._slots:
            try:
                response, _ = await dns.asyncquery.udp_with_fallback(query, ip, _QUERY_TIMEOUT, port)
            except (dns.exception.DNSException, OSError):
                try:
                    response = await dns.asyncquery.tcp(query, ip, _QUERY_TIMEOUT, port)
                except (dns.exception.DNSException, OSError):
                    return "does not answer"
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return f"answers {dns.rcode.to_text(response.rcode())}"
        return frozenset(b"".join(record.strings) for record in _rdata(response, name, dns.rdatatype.TXT))

    async def _lookup(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, *, cached: bool = True
    ) -> dns.message.QueryMessage:
        """What the recursive servers say, also that there is no such name. Raises Retryable."""
        async with self._slots:
            try:
                system_resolver = await self._recursive()
                system_resolver.cache = self._cache if cached else None
                answer = await system_resolver.resolve(
                    name, kind, raise_on_no_answer=False, search=False, lifetime=_LOOKUP_TIMEOUT
                )
                return answer.response
            except dns.resolver.NXDOMAIN as error:
                responses: dict[dns.name.Name, dns.message.QueryMessage] = error.responses()  # type: ignore[no-untyped-call]
                return responses[name]
            except dns.resolver.NoResolverConfiguration:
                text = "the system names no DNS server in /etc/resolv.conf: set recursiveNameservers"
                raise Retryable(text) from None
            except dns.resolver.LifetimeTimeout:
                raise Retryable(f"the DNS server does not answer for {format_name(name)}") from None
            except (dns.exception.DNSException, OSError) as error:
                raise Retryable(f"{format_name(name)} cannot be looked up: {_describe(error)}") from None

    async def _recursive(self) -> dns.asyncresolver.Resolver:
        system_resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        if self._nameservers:
            ip_lists = await asyncio.gather(*(list_addresses(host) for host, _ in self._nameservers))
            system_resolver.nameservers = [
                dns.nameserver.Do53Nameserver(ip, port)
                for ips, (_, port) in zip(ip_lists, self._nameservers, strict=True)
                for ip in ips
            ]
        system_resolver.timeout = _QUERY_TIMEOUT
        return system_resolver


def make_resolver(config: Mapping[str, Any], field: str) -> Resolver:
    """As an issuer's `dns01` object says, whose place is `field`. Raises Misconfigured."""
    return Resolver(
        config.get("recursiveNameservers") or (),
        only=read_flag(config, "recursiveNameserversOnly", field),
        field=f"{field}.recursiveNameservers",
    )


def _reason(shown: _Shown, value: str) -> str:
    """Why a value is not visible everywhere; empty if it is."""
    if isinstance(shown, str):
        return shown
    trouble = [f"{host} {answer}" for host, answer in shown if isinstance(answer, str)]
    without = [host for host, answer in shown if not isinstance(answer, str) and value.encode() not in answer]
    if without:
        trouble.append(f"{' and '.join(without)} {'does' if len(without) == 1 else 'do'} not have it yet")
    return "; ".join(trouble)


def _describe(error: Exception) -> str:
    if not isinstance(error, dns.resolver.NoNameservers):
        return str(error) or type(error).__name__
    *_, last = error.kwargs["errors"]
    text = f"the DNS server answers {last[3]}"
    if str(last[3]) != dns.rcode.to_text(dns.rcode.SERVFAIL):
        return text
    return f"{text}: check whether CNAME records lead in a circle, or DNSSEC signatures there are wrong"


def _rdata(response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Iterable[Any]:
    """Typed by what each kind of record has."""
    return [record for rrset in response.answer if rrset.name == name and rrset.rdtype == kind for record in rrset]


def _sibling(name: dns.name.Name) -> dns.name.Name:
    """A name beside it that nobody has made, to tell a record of its own from one of a wildcard."""
    return dns.name.Name((uuid.uuid4().hex.encode(), *name.labels[1:]))
