"""What the table of watched kinds says of one is what the API server is asked for, and told of where it is missing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client as kubernetes_client

from csr_operator.api.keys import Kind, Raw
from csr_operator.api.names import GROUP
from csr_operator.control.reconciler import Key, Outcome
from csr_operator.kube.resources import WATCHED, Resource
from csr_operator.kube.sources import Source
from csr_operator.kube.transport import JSON, METADATA, METADATA_LIST, Transport
from csr_operator.manager import watch
from csr_operator.manager.watch import Lists, Pulse, follow, sources

DEADLINE = 10.0
REMEDY = "kubectl apply --server-side -k deploy/"
NOT_FOUND = "the server could not find the requested resource"
EMPTY = {"kind": "ExampleList", "metadata": {"resourceVersion": "7"}, "items": []}
SETTINGS = Resource("", "v1", "configmaps", "ConfigMap", selector="example.com/settings", metadata_only=True)
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)


class ApiServer:
    """Has nothing, or does not know the kind; `requests`: path, label selector and Accept of each."""

    def __init__(self, *, knows: bool) -> None:
        self._knows = knows
        self.requests: list[tuple[str, str | None, str]] = []
        self._changed = asyncio.Condition()

    async def answer(self, request: web.Request) -> web.Response:
        async with self._changed:
            self.requests.append((request.path, request.query.get("labelSelector"), request.headers["Accept"]))
            self._changed.notify_all()
        if not self._knows:
            return web.json_response({"reason": "NotFound", "message": NOT_FOUND}, status=404)
        return web.Response() if "watch" in request.query else web.json_response(EMPTY)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)


class Nothing:
    """Knows of no objects, and is shown none."""

    def observe(self, obj: Raw) -> None:
        raise NotImplementedError

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        raise NotImplementedError

    def shard(self, key: Key) -> None:
        return None

    def known(self, namespace: str) -> Mapping[Key, str]:
        return {}

    async def reconcile(self, key: Key) -> Outcome:
        raise NotImplementedError


@asynccontextmanager
async def followed(source: Source, *, knows: bool) -> AsyncIterator[tuple[ApiServer, Pulse]]:
    """The watch runs."""
    api, app = ApiServer(knows=knows), web.Application()
    app.router.add_get("/{path:.*}", api.answer)
    async with TestServer(app) as server:
        client = kubernetes_client.ApiClient(kubernetes_client.Configuration(host=str(server.make_url("")).rstrip("/")))
        transport, pulse = Transport(client, DEADLINE, DEADLINE), Pulse([source], DEADLINE)
        task = asyncio.create_task(follow(transport, Nothing(), source, pulse, 0.01, Lists([source])))
        try:
            yield api, pulse
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await transport.close()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PAUSE", 0.01)


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (
            WATCHED[Kind.SECRET],
            [
                ("/api/v1/secrets", "csr-operator.dev/managed", METADATA_LIST),
                ("/api/v1/secrets", "csr-operator.dev/managed", METADATA),
            ],
        ),
        (WATCHED[Kind.ISSUER], [("/apis/csr-operator.dev/v1alpha1/issuers", None, JSON)] * 2),
        (
            SETTINGS,
            [
                ("/api/v1/configmaps", "example.com/settings", METADATA_LIST),
                ("/api/v1/configmaps", "example.com/settings", METADATA),
            ],
        ),
    ],
    ids=lambda value: value.plural if isinstance(value, Resource) else "",
)
async def test_as_much_is_asked_for_as_the_table_says(
    resource: Resource, expected: list[tuple[str, str | None, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WATCHED, Kind.ISSUER, resource)
    async with followed(Source(Kind.ISSUER, ""), knows=True) as (api, _):
        await api.until(2)
        assert api.requests[:2] == expected


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (
            WATCHED[Kind.ISSUER],
            f"issuers: the CustomResourceDefinition issuers.{GROUP} is not installed: {REMEDY}",
        ),
        (SETTINGS, f"configmaps: {NOT_FOUND}"),
        (GATEWAYS, f"gatewayclasses: {NOT_FOUND}"),
    ],
    ids=lambda value: value.plural if isinstance(value, Resource) else "",
)
async def test_only_for_a_definition_of_ours_that_is_missing_there_is_a_remedy(
    resource: Resource, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WATCHED, Kind.ISSUER, resource)
    async with followed(Source(Kind.ISSUER, ""), knows=False) as (api, pulse):
        await api.until(2)
        assert pulse.unready() == text


def test_what_is_in_no_namespace_is_watched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WATCHED, Kind.ISSUER, GATEWAYS)
    assert [source for source in sources(["a", "b"]) if source.kind is Kind.ISSUER] == [Source(Kind.ISSUER, "")]
