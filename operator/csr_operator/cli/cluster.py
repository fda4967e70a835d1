"""The API server as a user sees it: the cluster, the namespace and the rights of a kubeconfig."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import urlencode

import aiohttp
import yaml
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from multidict import CIMultiDict

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.names import GROUP, VERSION
from csr_operator.kube.client import KubeClient, KubeError, NoConfiguration, Object, kubeconfigs, load_kubeconfig

from .errors import CommandFailed

T = TypeVar("T")

_MERGE = "application/merge-patch+json"
_PLURALS = {
    Kind.CERTIFICATE_REQUEST: "certificaterequests",
    Kind.ISSUER: "issuers",
    Kind.CLUSTER_ISSUER: "clusterissuers",
}
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PAGE = 500
_PATIENCE = 30.0
_WATCH_SECONDS = 240


class Impersonated(NamedTuple):
    """As whom everything is done (https://kubernetes.io/docs/reference/access-authn-authz/authentication/
    #user-impersonation); without a user, as oneself."""

    user: str = ""
    groups: tuple[str, ...] = ()


class Cluster(KubeClient):
    """namespace: where a request is looked for. All calls raise KubeError and Unreachable."""

    # Flux takes the fields of managers whose name begins with `kubectl` away, and with them what a user asked for.
    agent: ClassVar[str] = "csr-operator-cli"

    namespace: str
    impersonated = Impersonated()

    def key(self, name: str) -> ObjectKey:
        """The request of this name."""
        return ObjectKey(Kind.CERTIFICATE_REQUEST, self.namespace, name)

    async def get(self, key: ObjectKey) -> Object:
        return await self._call("get", "GET", _PLURALS[key.kind], _path(key))

    async def list_requests(self, selector: str, *, everywhere: bool = False, secret_name: str = "") -> list[Object]:
        """Those of the namespace, or of all, that the label selector selects (empty: all), by namespace and name.

        secret_name: only those that name this Secret; empty: all.
        """
        scope = "" if everywhere else f"namespaces/{self.namespace}/"
        path = f"/apis/{GROUP}/{VERSION}/{scope}certificaterequests"
        query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        query |= {"fieldSelector": f"spec.secretName={secret_name}"} if secret_name else {}
        found: list[Object] = []
        while True:
            page = await self._call("list", "GET", "certificaterequests", path, query=query)
            found += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return sorted(found, key=lambda obj: (obj["metadata"]["namespace"], obj["metadata"]["name"]))
            query["continue"] = token

    async def annotate(self, key: ObjectKey, name: str, value: str) -> Object:
        """Returns the request as it is then."""
        body = {"metadata": {"annotations": {name: value}}}
        query = {"fieldManager": self.agent}
        return await self._call(
            "patch", "PATCH", _PLURALS[key.kind], _path(key), query=query, body=body, content_type=_MERGE
        )

    async def events(self, key: ObjectKey, uid: str) -> list[Object]:
        """Of one object, oldest first."""
        path = f"/apis/events.k8s.io/v1/namespaces/{key.namespace}/events"
        query = {"fieldSelector": f"regarding.name={key.name},regarding.uid={uid}"}
        answer = await self._call("list", "GET", "events", path, query=query)
        return sorted(answer["items"], key=lambda event: str(event.get("eventTime")))

    async def user(self) -> str:
        """Who the API server takes us for; empty if it does not tell."""
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        body: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = await self._call("create", "POST", "selfsubjectreviews", path, body=body)
        except KubeError:
            return ""
        return str(answer["status"]["userInfo"].get("username") or "")

    async def changes(self, key: ObjectKey) -> AsyncIterator[Object]:
        """A request as it is now, and after each change, without end. Raises CommandFailed if it is deleted."""
        while True:
            obj = await self.get(key)
            yield obj
            query = {
                "watch": "true",
                "fieldSelector": f"metadata.name={key.name}",
                "resourceVersion": obj["metadata"]["resourceVersion"],
                "timeoutSeconds": str(_WATCH_SECONDS),
            }
            path = f"{_path(key).rpartition('/')[0]}?{urlencode(query)}"
            response = await self._send(
                "watch", "GET", _PLURALS[key.kind], path, None, {"Accept": "application/json"}, self._watch_limits
            )
            try:
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "DELETED":
                        raise CommandFailed(f"{key.name} was deleted meanwhile")
                    if event["type"] not in ("ADDED", "MODIFIED"):
                        break
                    yield event["object"]
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass  # the connection broke: the next watch begins with what is there then
            finally:
                response.close()
            await asyncio.sleep(1.0)

    async def _send(
        self,
        verb: str,
        method: str,
        resource: str,
        path: str,
        body: Object | str | None,
        headers: MutableMapping[str, str],
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        whom = self.impersonated
        if whom.user:
            several = CIMultiDict(headers)
            several["Impersonate-User"] = whom.user
            for group in whom.groups:
                several.add("Impersonate-Group", group)
            headers = several
        return await super()._send(verb, method, resource, path, body, headers, limits)


class Reader:
    """Reads what may be forbidden; `unread` says what was, and why."""

    def __init__(self) -> None:
        self.unread: list[str] = []

    async def try_to(self, what: str, call: Awaitable[T]) -> tuple[bool, T | None]:
        """Whether it was read, and what."""
        try:
            return True, await call
        except KubeError as error:
            if error.status != 403:
                raise
            self.unread.append(f"{what} could not be read: {error}")
            return False, None

    async def issuer(self, cluster: Cluster, key: ObjectKey) -> tuple[bool, Object | None]:
        """Whether it was read, and the issuer; None if there is none."""
        try:
            return await self.try_to(str(key), cluster.get(key))
        except KubeError as error:
            if error.status == 404:
                return True, None
            raise


@asynccontextmanager
async def connected(kubeconfig: str, context: str | None, namespace: str, whom: Impersonated) -> AsyncIterator[Cluster]:
    """kubeconfig, namespace: empty for those that kubectl would take. Raises NoConfiguration."""
    paths = [Path(kubeconfig)] if kubeconfig else kubeconfigs()
    configuration = kubernetes_client.Configuration()
    if kubeconfig or any(path.exists() for path in paths):
        chosen = await load_kubeconfig(configuration, paths, context or _current_context(paths))
    else:
        chosen = _of_the_pod(configuration, paths)
    configuration.connection_pool_maxsize = 8
    cluster = Cluster(kubernetes_client.ApiClient(configuration=configuration), _PATIENCE, float(_WATCH_SECONDS + 30))
    cluster.namespace, cluster.impersonated = namespace or chosen or "default", whom
    try:
        yield cluster
    finally:
        await cluster.close()


def _current_context(paths: Sequence[Path]) -> str | None:
    """kubectl takes that of the first file that has one, where the client's loader takes the last."""
    for path in paths:
        try:
            config: Any = yaml.safe_load(path.read_text())
            if config.get("current-context"):
                return str(config["current-context"])
        except (OSError, ValueError, AttributeError, yaml.YAMLError):
            continue  # the loader has the words for it
    return None


def _of_the_pod(configuration: kubernetes_client.Configuration, paths: Sequence[Path]) -> str:
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else ""
    except kubernetes_config.ConfigException:
        tried = ", ".join(map(str, paths))
        raise NoConfiguration(
            f"no cluster is configured: there is no {tried}, and this process does not run in a pod: set KUBECONFIG, "
            "or give --kubeconfig"
        ) from None


def _path(key: ObjectKey) -> str:
    scope = f"namespaces/{key.namespace}/" if key.namespace else ""
    return f"/apis/{GROUP}/{VERSION}/{scope}{_PLURALS[key.kind]}/{_part(key.name)}"


def _part(name: str) -> str:
    """Raises KubeError for what is no name: `..` in a path would lead elsewhere."""
    if not _NAME.fullmatch(name):
        raise KubeError(404, "NotFound", f"{name!r} is not a name of an object of {GROUP}")
    return name
