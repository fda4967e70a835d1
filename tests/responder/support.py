"""What the tests of challenges present, and how they ask for it as a CA does."""

import asyncio
import hashlib
import secrets
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
from aiohttp.abc import ResolveResult
from cryptography import x509

from csr_acme import AcmeClient, Identifier
from csr_acme import Challenge as AcmeChallenge
from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind
from csr_operator.challenges.alpn import AlpnChallenge
from csr_operator.challenges.routes import Challenge

DEADLINE = 30
PATH = "/.well-known/acme-challenge/"
TENANT = Issuer(Kind.ISSUER, "team-a", "letsencrypt", "uid", "1", 1, "acme", {})
ISSUER = Issuer(Kind.CLUSTER_ISSUER, "", "letsencrypt", "uid", "1", 1, "acme", {})


def challenge(host: str = "www.example.com") -> Challenge:
    token = secrets.token_urlsafe(32)
    return Challenge(host, token, f"{token}.thumbprint")


def ask(port: int, host: str, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body of what is answered there to a CA that looks at `host`."""
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}, method=method)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def asked(client: AcmeClient, identifier: Identifier, kind: str) -> tuple[str, AcmeChallenge]:
    """The URL of a new order for it, and its challenge of that kind."""
    order = await client.new_order([identifier])
    authorization = await client.authorization(order.authorizations[0])
    return order.url, next(c for c in authorization.challenges if c.type == kind)


async def proven(client: AcmeClient, order_url: str, challenge: AcmeChallenge) -> str:
    """The order's status when the CA has looked; what the CA said, if it did not find the answer."""
    await client.respond(challenge)
    order = await client.order(order_url)
    async with asyncio.timeout(DEADLINE):
        while order.status == "pending":
            await asyncio.sleep(order.retry_after or 0.05)
            order = await client.order(order_url)
    if order.status == "invalid":
        authorization = await client.authorization(order.authorizations[0])
        return str([c.error for c in authorization.challenges if c.error])
    return order.status


class _Loopback(aiohttp.TCPConnector):
    """A resolver would do, were it asked for IP addresses, too."""

    def __init__(self, port: int, tls_port: int) -> None:
        super().__init__()
        self._ports = {443: tls_port}
        self._port = port

    async def _resolve_host(self, host: str, port: int, traces: object = None) -> list[ResolveResult]:
        port = self._ports.get(port, self._port)
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]


def rerouted(port: int, tls_port: int = 0) -> aiohttp.ClientSession:
    """A session for which every name and address is the loopback one, port 443 is `tls_port`, and others are `port`."""
    return aiohttp.ClientSession(connector=_Loopback(port, tls_port), trust_env=False)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(DEADLINE):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


def trusting(*protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def shaken(port: int, name: str | None, *protocols: str) -> tuple[bytes, str | None, bytes]:
    """The certificate (DER) and protocol of a handshake, and what comes after. Raises OSError."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trusting(*protocols), server_hostname=name or ""
    )
    connection = writer.get_extra_info("ssl_object")
    found = connection.getpeercert(binary_form=True), connection.selected_alpn_protocol(), await until_closed(reader)
    writer.close()
    return found


def now() -> datetime:
    """A clock."""
    return datetime.now(UTC)


def answering(*challenges: AlpnChallenge) -> Callable[[str, bool], Awaitable[AlpnChallenge | None]]:
    """For `serve_tls`: these, from memory."""
    by_name = {challenge.name: challenge for challenge in challenges}

    async def answer(name: str, look: bool) -> AlpnChallenge | None:
        return by_name.get(name.lower())

    return answer


def proven_by(der: bytes, *challenges: AlpnChallenge) -> AlpnChallenge | None:
    """Which of these the certificate proves (RFC 8737, section 3); None for none."""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    proof = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert proof.critical
    assert isinstance(proof.value, x509.UnrecognizedExtension)
    hosts = [str(name.value) for name in names]
    for challenge in challenges:
        digest = hashlib.sha256(challenge.answer.encode()).digest()
        if hosts == [challenge.host] and proof.value.value == b"\x04\x20" + digest:
            return challenge
    return None
