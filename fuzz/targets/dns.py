"""What DNS servers answer. May raise Retryable and Rejected."""

import struct
from collections import deque
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import dns.asyncquery
import dns.message
import dns.nameserver
import dns.query

from csr_operator.dns.resolve import Resolver
from csr_operator.plugin.errors import Rejected, Retryable
from fuzz.checks import check_message, outcome
from fuzz.loop import finish

SHAPE = "octets"

_NAME = "_acme-challenge.www.example.com"


def fuzz(data: bytes) -> None:
    """Messages as DNS has them on TCP: each after its length in two octets. The question is always the one asked."""
    answers = deque(_messages(data))

    async def answer(query: dns.message.QueryMessage) -> dns.message.Message:
        if not answers:
            raise OSError("no answer")
        wire = answers.popleft()
        question = query.to_wire()[12:]
        header = struct.pack(">H", query.id) + wire[2:4] + b"\0\1" + wire[6:12].ljust(6, b"\0")
        message = dns.message.from_wire(
            header + question[: _question_length(question)] + wire[12:], ignore_trailing=True
        )
        if not query.is_response(message):  # as whoever receives it looks
            raise dns.query.BadResponse
        return message

    async def udp(query: Any, *_: Any, **__: Any) -> tuple[dns.message.Message, bool]:
        return await answer(query), False

    async def tcp(query: Any, *_: Any, **__: Any) -> dns.message.Message:
        return await answer(query)

    async def ask(_: Any, query: Any, *__: Any, **___: Any) -> dns.message.Message:
        return await answer(query)

    with (
        patch.object(dns.asyncquery, "udp_with_fallback", udp),
        patch.object(dns.asyncquery, "tcp", tcp),
        patch.object(dns.nameserver.Do53Nameserver, "async_query", ask),
    ):
        resolver = Resolver(["127.0.0.1:53"])
        for work in (resolver.target, resolver.zone):
            answers.extend(_messages(data))
            name = outcome(lambda: finish(work(_NAME)), Retryable, Rejected)  # noqa: B023
            assert name is None or len(name) <= 1024
        answers.extend(_messages(data))
        reasons = outcome(lambda: finish(resolver.propagated([(_NAME, "value")])), Retryable, Rejected)
        for reason in (reasons or {}).values():
            check_message(reason)


def _messages(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 2 <= len(data):
        (size,) = struct.unpack_from(">H", data, at)
        yield data[at + 2 : at + 2 + size]
        at += 2 + size


def _question_length(question: bytes) -> int:
    return question.index(b"\0") + 5
