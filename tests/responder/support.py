"""What the tests of challenges present, and how they ask for it as a CA does."""

import secrets
import socket
import urllib.error
import urllib.request

import aiohttp
from aiohttp.abc import ResolveResult

from csr_operator.challenge_routes import Challenge
from csr_operator.model import Issuer, Kind

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
