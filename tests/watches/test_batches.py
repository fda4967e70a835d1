"""What comes on a watch is read in batches: nothing of it is kept back, and nothing held up that follows."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client as kubernetes_client

from csr_operator.api.keys import Kind
from csr_operator.kube import batches
from csr_operator.kube.sources import Source, watch_events
from csr_operator.kube.transport import Transport

DEADLINE = 10.0
REQUESTS = Source(Kind.CERTIFICATE_REQUEST, "")


class ApiServer:
    """Has one watch at a time, which shows what it is told to. peers: who asked, connection by connection."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.peers: list[object] = []

    def show(self, *names: str, text: str = "") -> None:
        """In one piece."""
        self._events.put_nowait(b"".join(line(name, text) for name in names))

    def end(self) -> None:
        self._events.put_nowait(None)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        if "watch" not in request.query:
            return web.json_response({"metadata": {}})
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self._events.get()) is not None:
            await response.write(event)
        return response


def line(name: str, text: str) -> bytes:
    metadata = {"name": name, "resourceVersion": "1", "annotations": {"text": text}}
    return json.dumps({"type": "MODIFIED", "object": {"metadata": metadata}}).encode() + b"\n"


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[ApiServer, Transport]]:
    api, app = ApiServer(), web.Application()
    app.router.add_get("/{path:.*}", api.answer)
    async with TestServer(app) as server, asyncio.timeout(DEADLINE):
        configuration = kubernetes_client.Configuration(host=str(server.make_url("")).rstrip("/"))
        configuration.connection_pool_maxsize = 1
        transport = Transport(kubernetes_client.ApiClient(configuration), DEADLINE, DEADLINE)
        try:
            yield api, transport
        finally:
            api.end()
            await transport.close()


@asynccontextmanager
async def watching(transport: Transport) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
    events = watch_events(transport, REQUESTS, "1")
    assert isinstance(events, AsyncGenerator)
    async with aclosing(events):
        yield events


def name_of(event: Mapping[str, Any]) -> str:
    return str(event["object"]["metadata"]["name"])


async def test_each_change_is_seen_though_nothing_follows_it() -> None:
    async with serving() as (api, transport), watching(transport) as events:
        for name in "abc":
            api.show(name)
            assert name_of(await anext(events)) == name


async def test_what_comes_in_a_burst_is_seen_in_its_order() -> None:
    names = [f"issuer-{n}" for n in range(2000)]
    async with serving() as (api, transport), watching(transport) as events:
        for start in range(0, len(names), 10):
            api.show(*names[start : start + 10], text="x" * 1000)
        assert [name_of(await anext(events)) for _ in names] == names


async def test_what_is_not_the_whole_of_a_change_is_waited_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is larger than what a batch has."""
    monkeypatch.setattr(batches, "_INTERVAL", 2 * DEADLINE)
    async with serving() as (api, transport), watching(transport) as events:
        api.show("first")
        assert name_of(await anext(events)) == "first"
        api.show("large", text="x" * 3 * batches._ENOUGH)
        assert name_of(await anext(events)) == "large"


async def test_a_connection_whose_watch_has_ended_answers_the_next_call_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "_INTERVAL", 2 * DEADLINE)
    async with serving() as (api, transport):
        api.show("first")
        api.end()
        assert [name_of(event) async for event in watch_events(transport, REQUESTS, "1")] == ["first"]
        await transport.check_credentials()
        assert len({*api.peers}) == 1
