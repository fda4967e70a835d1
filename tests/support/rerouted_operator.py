"""csr-operator for which every name leads to one port of the loopback address.

Whatever port is asked for. It is for the self-check of http-01, which asks for port 80.
"""

import socket
from dataclasses import replace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from csr_operator.__main__ import main
from csr_operator.manager.operator import Operator


class Loopback(AbstractResolver):
    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def session(port: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, resolver=Loopback(port))
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def run(port: float, arguments: list[str]) -> int:
    """To `port`."""
    return main(arguments, lambda given: Operator(replace(given, metrics_kept=0.0), session=lambda: session(int(port))))
