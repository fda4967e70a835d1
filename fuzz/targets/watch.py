"""What the API server sends on watches and in lists, with objects of any size and depth. May raise Unreachable.

However it comes in pieces, it is the same lines; what is cut for its depth is JSON still, and what is not deep stays as
it is.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from csr_operator.kube.bodies import HEAD_BYTES, parse_event, parse_list_head, parse_metadata_event, read_lines
from csr_operator.kube.errors import Unreachable
from csr_operator.kube.nesting import DEEPEST, cut_nesting
from fuzz.checks import outcome
from fuzz.loop import finish

SHAPE = "json"

_MOST = 1024


def fuzz(data: bytes) -> None:
    outcome(lambda: finish(parse_event(data)), Unreachable)
    outcome(lambda: parse_metadata_event(data, "Secret"), Unreachable)
    outcome(lambda: parse_list_head(data), Unreachable)
    cut = cut_nesting(data)
    assert len(cut) <= len(data) + 4 * data.count(b"[") + 4 * data.count(b"{")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        pass
    else:
        assert json.loads(cut) is not None or value is None
        assert cut == data or _depth(value) > DEEPEST
    assert HEAD_BYTES > _MOST
    lines = [line for line in data.split(b"\n") if line]
    for size in (1, 7, len(data)) if 0 < len(data) <= 4096 else ():
        assert finish(_lines(data, size)) == [line if len(line) <= _MOST else line[:HEAD_BYTES] for line in lines]


async def _lines(data: bytes, size: int) -> list[bytes]:
    return [line async for line in read_lines(_pieces(data + b"\n", size), _MOST)]


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    """As a connection hands out what has come."""
    for at in range(0, len(data), size):
        yield data[at : at + size]
        await asyncio.sleep(0)


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level := [c for v in level if isinstance(v, dict | list) for c in (v.values() if isinstance(v, dict) else v)]:
        depth += 1
    return depth + 1
