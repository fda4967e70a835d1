"""What the API server sends, read within bounds: what is too large, or nested too deeply, costs one object alone."""

import json
import logging
import re
from collections.abc import AsyncIterable, AsyncIterator

from csr_operator.metrics import UNREADABLE
from csr_operator.plugin.offload import offload

from .errors import Unreachable
from .nesting import cut_nesting
from .objects import Object

logger = logging.getLogger(__name__)

MOST_BYTES = 3 * 1024 * 1024
"""Of one watch event, and of one page of a list: it is parsed within some 30 ms. The metadata of an object stays far
below: annotations have 256 KiB at most, which JSON makes six times as long. Owner references and managedFields alone
have no such bound."""

MOST_WHOLE = 16 * 1024 * 1024
"""Of one CertificateRequest or issuer, which is needed whole; etcd takes 1.5 MiB, unless it was told to take more."""

HEAD_BYTES = 64 * 1024
_HEAD = re.compile(
    rb'"metadata":(\{"name":"[^"\\]{1,253}"'
    rb'(?:,"(?:generateName|namespace|uid|resourceVersion|creationTimestamp|deletionTimestamp)":"[^"\\]{0,253}"'
    rb'|,"(?:generation|deletionGracePeriodSeconds)":\d{1,19})*)'
)
"""How the API server begins an object's metadata (ObjectMeta of k8s.io/apimachinery): these fields come before those
that may be of any size."""

_LIST_HEAD = re.compile(rb'^\{[^{]{0,1024}"metadata":(\{[^{}]{0,32768}\})')
_EVENT_HEAD = re.compile(rb'^\{"type":"([A-Z]{1,16})"')


def is_versioned(parsed: object) -> bool:
    """It has what the API server gives each object and each list, which a page of a proxy or a portal does not."""
    if not isinstance(parsed, dict) or not isinstance(parsed.get("kind"), str):
        return False
    metadata = parsed.get("metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("resourceVersion"), str)


def is_deletion(parsed: object) -> bool:
    """It answers a deletion: the object, or a Status (https://kubernetes.io/docs/reference/using-api/api-concepts/)."""
    if is_versioned(parsed):
        return True
    return isinstance(parsed, dict) and parsed.get("kind") == "Status" and parsed.get("status") == "Success"


def is_review(parsed: object) -> bool:
    """It answers a question, such as a SelfSubjectReview, which is not stored and has no version."""
    return isinstance(parsed, dict) and isinstance(parsed.get("status"), dict)


def is_json(_: object) -> bool:
    """Anything: what is in it is not looked at."""
    return True


async def read_lines(chunks: AsyncIterable[bytes], most: int) -> AsyncIterator[bytes]:
    """Each line of what comes in chunks, without its end. Of one of more than `most` bytes only the beginning is kept,
    and yielded."""
    held, size = bytearray(), 0
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            held += part
            size += len(part)
            if held:
                yield bytes(held if size <= most else held[:HEAD_BYTES])
            held, size = bytearray(), 0
        held += rest
        size += len(rest)
        if size > most:
            del held[HEAD_BYTES:]


def parse_object(text: bytes) -> Object | None:
    """A JSON object; None for what is no JSON object, or nested too deeply for the parser."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


async def parse_without_depths(text: bytes) -> Object | None:
    """As `parse_object`, with null for what is nested too deeply."""
    return parse_object(await offload(len(text), cut_nesting, text))


async def parse_event(line: bytes) -> Object:
    """A watch event. Raises Unreachable."""
    event = parse_object(line) or await parse_without_depths(line)
    if event is None or not isinstance(event.get("object"), dict):
        raise Unreachable("what came on the watch is not an event")
    return event


def parse_metadata_event(line: bytes, kind: str) -> Object:
    """A watch event of an object's metadata; if it cannot be read, one with the head of that alone.

    kind: what the metrics call the object. Raises Unreachable.
    """
    event = parse_object(line)
    if event is not None and isinstance(event.get("object"), dict):
        return event
    start, head = _EVENT_HEAD.match(line), _head(line)
    if start is None or head is None:
        raise Unreachable("what came on the watch is not an event")
    UNREADABLE.labels(kind).inc()
    return {"type": start[1].decode(), "object": head}


def parse_list_head(text: bytes) -> Object:
    """A page of one object that cannot be read: with the head of its metadata alone. Raises Unreachable."""
    match, head = _LIST_HEAD.match(text), _head(text.partition(b'"items":')[2])
    metadata = parse_object(match[1]) if match is not None else None
    if metadata is None:
        raise Unreachable("list: a page cannot be read")
    return {"metadata": metadata, "items": [] if head is None else [head]}


def _head(text: bytes) -> Object | None:
    match = _HEAD.search(text[:HEAD_BYTES])
    metadata = parse_object(match[1] + b"}") if match is not None else None
    if metadata is None:
        return None
    where = f"{metadata.get('namespace', '')}/{metadata['name']}"
    logger.warning("%s: its metadata is too large, or nested too deeply, and is not read beyond its name", where)
    return {"metadata": metadata}
