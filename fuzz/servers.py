"""Servers of CAs that answer whatever a fuzzer wants: one answer after the other, then none."""

import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from multidict import CIMultiDict

from csr_operator.plugin import http
from csr_operator.plugin.errors import Retryable

_MOST = 80
"""Answers: who asks for more gets none."""


class Answers:
    """data: JSON, a list of `[status, headers, body]`, of which any may be missing. A body that is text is no JSON."""

    def __init__(self, data: bytes) -> None:
        try:
            listed = json.loads(data)
        except (ValueError, RecursionError):
            listed = [[200, {}, data.decode(errors="replace")]]
        self._left = deque((listed if isinstance(listed, list) else [listed])[:_MOST])

    def next(self) -> tuple[int, CIMultiDict[str], bytes] | None:
        """None if there is none left."""
        if not self._left:
            return None
        given = self._left.popleft()
        status, headers, body = (*(given if isinstance(given, list) else [200, {}, given]), 200, {}, "")[:3]
        octets = body.encode(errors="replace") if isinstance(body, str) else json.dumps(body).encode()
        return (
            status if type(status) is int and 200 <= status < 600 else 200,
            CIMultiDict((name, _header(value)) for name, value in headers.items())
            if isinstance(headers, dict)
            else CIMultiDict(),
            octets,
        )


def _header(value: Any) -> str:
    """As aiohttp has one: without line ends."""
    return "".join(c for c in str(value) if c not in "\r\n\0")[:8190].encode(errors="replace").decode()


@contextmanager
def vendor(data: bytes) -> Iterator[None]:
    """`plugin.http.call` gets these answers."""
    answers = Answers(data)

    async def call(*_: Any, **__: Any) -> http.Answer:
        given = answers.next()
        if given is None:
            raise Retryable("there is no answer")
        return http.Answer(*given)

    with patch.object(http, "call", call):
        yield


class Session:
    """What the ACME client needs of aiohttp's."""

    def __init__(self, data: bytes) -> None:
        self._answers = Answers(data)

    @asynccontextmanager
    async def request(self, method: str, url: str, **_: Any) -> AsyncIterator["_Response"]:
        """The next answer, whatever is asked. TimeoutError if there is none."""
        given = self._answers.next()
        if given is None:
            raise TimeoutError
        yield _Response(*given)


class _Response:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.content = status, headers, _Content(body)


class _Content:
    def __init__(self, body: bytes) -> None:
        self._left = body

    async def read(self, most: int) -> bytes:
        """The next so many octets."""
        part, self._left = self._left[:most], self._left[most:]
        return part

    def at_eof(self) -> bool:
        """All was read."""
        return not self._left
