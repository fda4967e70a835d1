"""JSON of any depth, for readers that go down by recursion and would end at what a user nested by the thousand."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from .offload import offload

DEEPEST = 100
"""Levels that are read; what is nested deeper is null. No schema of ours has as many."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]')
_FEW = 500
"""So many lists and maps are not nested too deeply, however they are nested."""


def shallow(text: bytes) -> bytes:
    """The same JSON with null for what is nested deeper than DEEPEST."""
    parts, level, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        match text[token.start()]:
            case 0x7B | 0x5B:  # { [
                level += 1
                if level == DEEPEST + 1:
                    parts.append(text[start : token.start()])
            case 0x7D | 0x5D:  # } ]
                if level == DEEPEST + 1:
                    parts.append(b"null")
                    start = token.end()
                level -= 1
    return b"".join((*parts, text[start:]))


class ShallowResponse(aiohttp.ClientResponse):
    """An answer of the API server whose JSON, in one piece or by lines, is never nested deeper than DEEPEST."""

    async def start(self, connection: Any) -> "ShallowResponse":
        await super().start(connection)
        self.content = _ShallowLines(self.content)  # type: ignore[assignment]
        return self

    async def json(self, **_: Any) -> Any:
        text = await self.read()
        try:
            return json.loads(text)
        except RecursionError:
            return json.loads(await offload(len(text), shallow, text))


class _ShallowLines:
    """A StreamReader, which read in chunks gives whole lines."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        held = bytearray()
        async for chunk in self._content.iter_chunked(size):
            held += chunk
            end = held.rfind(b"\n", len(held) - len(chunk)) + 1
            if not end:
                continue
            lines = bytes(held[:end])
            del held[:end]
            if lines.count(b"{") + lines.count(b"[") > _FEW:
                lines = b"\n".join([await _checked(line) for line in lines.split(b"\n")])
            yield lines
        if held:
            yield bytes(held)


async def _checked(line: bytes) -> bytes:
    if line.count(b"{") + line.count(b"[") > _FEW:
        try:
            json.loads(line)
        except RecursionError:
            return await offload(len(line), shallow, line)
        except ValueError:
            pass  # whoever reads it says so
    return line
