"""`rfc2136`: dynamic updates (RFC 2136), signed with a shared key (TSIG, RFC 8945): BIND, Knot, PowerDNS, Windows.

The server is asked for the zone as well, with the same key: it may be one that nobody else asks, or show to the owner
of the key another view than to others.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
from dns.rdtypes.ANY.TXT import TXT

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable

from .base import read_secret_key, require
from .names import format_name, parse_name
from .resolve import Resolver
from .servers import list_addresses, parse_server

ALGORITHMS = {
    "HMACSHA1": dns.tsig.HMAC_SHA1,
    "HMACSHA224": dns.tsig.HMAC_SHA224,
    "HMACSHA256": dns.tsig.HMAC_SHA256,
    "HMACSHA384": dns.tsig.HMAC_SHA384,
    "HMACSHA512": dns.tsig.HMAC_SHA512,
}
_TTL = 60
_TIMEOUT = 10.0
_CONNECTIONS = 8
"""At once: BIND leaves ten in its queue, unless told otherwise, and those after them unanswered."""


class Rfc2136:
    """Records by dynamic updates (RFC 2136), signed with TSIG (RFC 8945) if there is a key."""

    def __init__(self, config: Mapping[str, Any], context: Context, _: Resolver, field: str) -> None:
        self._server = require(config, "nameserver", field, "the primary server of the zone, such as 192.0.2.53:53")
        self._host, self._port = parse_server(self._server, f"{field}.nameserver")
        self._key_name, self._reference = config.get("tsigKeyName") or "", config.get("tsigSecretSecretRef") or {}
        if bool(self._key_name) != bool(self._reference):
            raise Misconfigured(f"{field}: set tsigKeyName and tsigSecretSecretRef, or neither of them")
        algorithm = config.get("tsigAlgorithm") or "HMACSHA256"
        if algorithm not in ALGORITHMS:
            raise Misconfigured(f"{field}.tsigAlgorithm: {algorithm[:20]!r} is not one of {', '.join(ALGORITHMS)}")
        self._algorithm = ALGORITHMS[algorithm]
        self._context, self._field = context, field
        self._free = asyncio.Semaphore(_CONNECTIONS)

    async def present(self, name: str, value: str) -> None:
        update, owner, key = await self._update(name)
        update.add(owner, _TTL, _txt(value))
        await self._send(update, key)

    async def withdraw(self, name: str, value: str) -> None:
        update, owner, key = await self._update(name)
        update.delete(owner, _txt(value))
        await self._send(update, key)

    async def _update(self, name: str) -> tuple[dns.update.UpdateMessage, dns.name.Name, dns.tsig.Key | None]:
        """An empty update of the zone that `name` lies in."""
        key, owner = await self._key(), parse_name(name)
        return dns.update.UpdateMessage(await self._zone(owner, key)), owner, key

    async def _zone(self, name: dns.name.Name, key: dns.tsig.Key | None) -> dns.name.Name:
        current = name
        while current != dns.name.root:
            response = await self._ask(dns.message.make_query(current, dns.rdatatype.SOA, flags=0), key)
            if (rcode := response.rcode()) not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                raise self._refusal(rcode, current)
            for rrset in (*response.answer, *response.authority):
                if rrset.rdtype == dns.rdatatype.SOA and current.is_subdomain(rrset.name):
                    return rrset.name
            current = current.parent()
        raise Misconfigured(f"{self._field}.nameserver: {self._server} serves no zone that holds {format_name(name)}")

    async def _send(self, update: dns.update.UpdateMessage, key: dns.tsig.Key | None) -> None:
        if (rcode := (await self._ask(update, key)).rcode()) != dns.rcode.NOERROR:
            raise self._refusal(rcode, update.zone[0].name)

    async def _ask(self, query: dns.message.Message, key: dns.tsig.Key | None) -> dns.message.Message:
        if key is not None:
            query.use_tsig(key)
        why = ""
        for ip in await list_addresses(self._host):
            try:
                async with self._free:
                    return await dns.asyncquery.tcp(query, ip, _TIMEOUT, self._port)
            except dns.exception.Timeout:
                why = why or "does not answer"
            except (OSError, EOFError) as error:
                why = why or f"cannot be reached: {error or 'it closed the connection'}"
            except dns.exception.DNSException as error:
                raise self._failure(error) from None
        raise Retryable(f"the DNS server {self._server} {why}")

    async def _key(self) -> dns.tsig.Key | None:
        if not self._key_name:
            return None
        field = f"{self._field}.tsigSecretSecretRef"
        text = await read_secret_key(self._context, self._reference, field, "what tsig-keygen writes as secret")
        try:
            secret = base64.b64decode(b"".join(text.split()), validate=True)
            return dns.tsig.Key(dns.name.from_text(self._key_name), secret, self._algorithm)
        except ValueError:
            problem = "what the Secret holds is not base64: copy what tsig-keygen writes as secret"
            raise Misconfigured(f"{field}: {problem}") from None
        except dns.exception.DNSException as error:
            raise Misconfigured(f"{self._field}.tsigKeyName: is not a domain name: {error}") from None

    def _refusal(self, rcode: dns.rcode.Rcode, name: dns.name.Name) -> BackendError:
        answer = f"the DNS server {self._server} answers {dns.rcode.to_text(rcode)} for {format_name(name)}"
        match rcode:
            case dns.rcode.REFUSED:
                key = f"the key {self._key_name}" if self._key_name else "whoever has no key"
                return Misconfigured(
                    f"{answer}: let {key} change TXT records there (update-policy of BIND), or name another key in "
                    f"{self._field}.tsigKeyName, or in nameserver the zone's primary server"
                )
            case dns.rcode.NOTAUTH | dns.rcode.NOTZONE | dns.rcode.NOTIMP:
                return Misconfigured(
                    f"{answer}: it is not the zone's primary server or takes no updates of it: correct "
                    f"{self._field}.nameserver"
                )
            case dns.rcode.SERVFAIL:
                return Retryable(f"{answer}: its log says why (can it write the zone's file and journal?)")
            case _:
                return Retryable(f"{answer}: its log says why")

    def _failure(self, error: dns.exception.DNSException) -> BackendError:
        """Of TSIG (RFC 8945, section 5), as the server or we see it; or no DNS at all."""
        match error:
            case dns.tsig.PeerBadKey():
                return Misconfigured(
                    f"{self._field}.tsigKeyName: the DNS server {self._server} knows no key {self._key_name} (BADKEY): "
                    "correct the name or tsigAlgorithm, or give the server the key"
                )
            case dns.tsig.PeerBadSignature() | dns.tsig.BadSignature() | dns.tsig.PeerBadTruncation():
                return Misconfigured(
                    f"{self._field}.tsigSecretSecretRef: the DNS server {self._server} has another secret for the key "
                    f"{self._key_name} (BADSIG): copy its secret into the Secret"
                )
            case dns.tsig.PeerBadTime() | dns.tsig.BadTime():
                return Retryable(
                    f"the clocks of the DNS server {self._server} and of the operator differ by more than 5 minutes "
                    "(BADTIME): set them"
                )
            case dns.tsig.BadAlgorithm() | dns.tsig.BadKey():
                return Misconfigured(f"{self._field}: the DNS server {self._server} answers with another key ({error})")
            case _:
                # Also an answer that is not signed, though the question was.
                return Retryable(f"the answer of the DNS server {self._server} cannot be used: {error}")


def _txt(value: str) -> TXT:
    """In strings of at most 255 bytes (RFC 1035, section 3.3.14)."""
    data = value.encode()
    strings = [data[i : i + 255] for i in range(0, len(data), 255)]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
