"""A bare client of the API server: JSON over one aiohttp session, as administrator, with bounded connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from devcluster import ControlPlane
from tests.support.manifests import API_VERSION

T = TypeVar("T")
Object = dict[str, Any]


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def create_request(self, namespace: str, body: Object) -> Object:
        return await self._call("POST", _requests(namespace), body)

    async def create_secret(self, namespace: str, body: Object) -> Object:
        return await self._call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)

    async def patch_status(self, namespace: str, name: str, status: Object) -> Object:
        path = f"{_requests(namespace)}/{name}/status"
        return await self._call("PATCH", path, {"status": status}, "application/merge-patch+json")

    async def resource_version(self, namespace: str) -> str:
        """That of the requests in `namespace` now, to watch from."""
        listed = await self._call("GET", f"{_requests(namespace)}?limit=1")
        return str(listed["metadata"]["resourceVersion"])

    async def watch_requests(self, namespace: str, resource_version: str) -> AsyncIterator[Object]:
        """The requests as they change, for as long as the caller wants."""
        while True:
            query = f"watch=true&allowWatchBookmarks=true&resourceVersion={resource_version}"
            async with self._session.get(f"{self._url}{_requests(namespace)}?{query}") as response:
                response.raise_for_status()
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch failed: {event['object'].get('message')}")
                    resource_version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["object"]

    async def _call(
        self, method: str, path: str, body: Object | None = None, content_type: str = "application/json"
    ) -> Object:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as response:
            text = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {text.decode()}")
            return dict(json.loads(text))


@asynccontextmanager
async def connect(cluster: ControlPlane, connections: int) -> AsyncIterator[Client]:
    """One connection more is for the watch."""
    configuration = kubernetes_client.Configuration()
    await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
        str(cluster.kubeconfig), client_configuration=configuration
    )
    tls = kubernetes_client.ApiClient(configuration).rest_client.ssl_context
    connector = aiohttp.TCPConnector(limit=connections + 1, ssl=tls)
    timeout = aiohttp.ClientTimeout(total=None, sock_read=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=2**21) as session:
        yield Client(session, cluster.url)


async def in_parallel(work: Callable[[T], Awaitable[None]], items: Iterable[T], at_once: int) -> None:
    """Do `work` for each of `items`, `at_once` at a time."""
    rest = iter(items)

    async def take_turns() -> None:
        for item in rest:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(take_turns())


def _requests(namespace: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/certificaterequests"
