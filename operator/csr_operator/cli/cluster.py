"""The API server as a user sees it: the cluster, the namespace and the rights of a kubeconfig."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import yaml
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from csr_operator.api.keys import Kind, ObjectKey, SecretKey
from csr_operator.api.names import OPERATOR_NAMESPACE, REPLICAS_LABEL
from csr_operator.kube.bodies import is_review
from csr_operator.kube.custom_objects import CustomObjects
from csr_operator.kube.errors import KubeError, NoConfiguration
from csr_operator.kube.kubeconfig import kubeconfigs, load_kubeconfig
from csr_operator.kube.leases import Leases
from csr_operator.kube.objects import Object
from csr_operator.kube.resources import EVENTS, SELF_SUBJECT_REVIEWS, WATCHED
from csr_operator.kube.secrets import Secrets
from csr_operator.kube.transport import JSON, Transport

from .errors import CommandFailed

T = TypeVar("T")

# Flux takes the fields of managers whose name begins with `kubectl` away, and with them what a user asked for.
_AGENT = "csr-operator-cli"
_REQUESTS = WATCHED[Kind.CERTIFICATE_REQUEST]
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PAGE = 500
_PATIENCE = 30.0
_WATCH_SECONDS = 240


class Impersonated(NamedTuple):
    """As whom everything is done (https://kubernetes.io/docs/reference/access-authn-authz/authentication/
    #user-impersonation); without a user, as oneself."""

    user: str = ""
    groups: tuple[str, ...] = ()

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Those that say so."""
        if not self.user:
            return ()
        return (("Impersonate-User", self.user), *(("Impersonate-Group", group) for group in self.groups))


class Cluster:
    """namespace: where a request is looked for. All calls raise KubeError and Unreachable."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self._transport, self.namespace = transport, namespace
        self._secrets, self._objects = Secrets(transport), CustomObjects(transport)
        self._leases = Leases(transport, OPERATOR_NAMESPACE)

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    def key(self, name: str) -> ObjectKey:
        """The request of this name."""
        return ObjectKey(Kind.CERTIFICATE_REQUEST, self.namespace, name)

    async def get(self, key: ObjectKey) -> Object:
        """A request or an issuer; KubeError with status 404 if there is none."""
        return await self._transport.call("get", "GET", WATCHED[key.kind].plural, _path(key))

    async def list_requests(self, selector: str, *, everywhere: bool = False, secret_name: str = "") -> list[Object]:
        """Those of the namespace, or of all, that the label selector selects (empty: all), by namespace and name.

        secret_name: only those that name this Secret; empty: all.
        """
        path = _REQUESTS.path("" if everywhere else self.namespace)
        query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        query |= {"fieldSelector": f"spec.secretName={secret_name}"} if secret_name else {}
        objects: list[Object] = []
        while True:
            page = await self._transport.call("list", "GET", _REQUESTS.plural, path, query=query)
            objects += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return sorted(objects, key=lambda obj: (obj["metadata"]["namespace"], obj["metadata"]["name"]))
            query["continue"] = token

    async def annotate(self, key: ObjectKey, name: str, value: str) -> Object:
        """Returns the request as it is then."""
        return await self._transport.patch(
            WATCHED[key.kind].plural, _path(key), {"metadata": {"annotations": {name: value}}}, accept=JSON
        )

    async def patch_status(self, key: ObjectKey, resource_version: str, status: Object) -> None:
        """Refused with 409 if the object changed since `resource_version`."""
        await self._objects.patch_status(key, resource_version, status)

    async def get_secret(self, key: SecretKey) -> Object | None:
        """None if there is none."""
        return await self._secrets.get(key)

    async def secret_metadata(self, key: SecretKey) -> Object | None:
        """None if there is none."""
        return await self._secrets.get_metadata(key)

    async def annotate_secret(self, secret: Object, annotation: str, value: str) -> None:
        """Set one annotation; 409 if `secret` changed since it was read."""
        await self._secrets.annotate(secret, annotation, value)

    async def events(self, key: ObjectKey, uid: str) -> list[Object]:
        """Of one object, oldest first."""
        query = {"fieldSelector": f"regarding.name={key.name},regarding.uid={uid}"}
        answer = await self._transport.call("list", "GET", EVENTS.plural, EVENTS.path(key.namespace), query=query)
        return sorted(answer["items"], key=lambda event: str(event.get("eventTime")))

    async def replica_leases(self) -> list[Object]:
        """By which the replicas of the operator agree who works on what."""
        return await self._leases.list(REPLICAS_LABEL)

    async def user(self) -> str:
        """Who the API server takes us for; empty if it does not tell."""
        review = SELF_SUBJECT_REVIEWS
        body: Object = {"apiVersion": f"{review.group}/{review.version}", "kind": review.kind}
        try:
            answer = await self._transport.call(
                "create", "POST", review.plural, review.path(), body=body, expects=is_review
            )
        except KubeError:
            return ""
        return str(answer["status"]["userInfo"].get("username") or "")

    async def changes(self, key: ObjectKey) -> AsyncIterator[Object]:
        """A request as it is now, and after each change, without end. Raises CommandFailed if it is deleted."""
        while True:
            obj = await self.get(key)
            yield obj
            query = {
                "fieldSelector": f"metadata.name={key.name}",
                "resourceVersion": obj["metadata"]["resourceVersion"],
                "timeoutSeconds": str(_WATCH_SECONDS),
            }
            resource = WATCHED[key.kind]
            response = await self._transport.watch(resource.plural, resource.path(key.namespace), query)
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
async def connect(kubeconfig: str, context: str | None, namespace: str, whom: Impersonated) -> AsyncIterator[Cluster]:
    """kubeconfig, namespace: empty for those that kubectl would take. Raises NoConfiguration."""
    paths = [Path(kubeconfig)] if kubeconfig else kubeconfigs()
    configuration = kubernetes_client.Configuration()
    if kubeconfig or any(path.exists() for path in paths):
        chosen = await load_kubeconfig(configuration, paths, context or _current_context(paths))
    else:
        chosen = _of_the_pod(configuration, paths)
    configuration.connection_pool_maxsize = 8
    client = kubernetes_client.ApiClient(configuration=configuration)
    transport = Transport(client, _PATIENCE, float(_WATCH_SECONDS + 30), _AGENT, whom.headers())
    cluster = Cluster(transport, namespace or chosen or "default")
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
    return WATCHED[key.kind].path(key.namespace, key.name)
