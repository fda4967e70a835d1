"""The few calls of the Kubernetes API that the operator makes, through the official client's asyncio side.

Bodies and answers are plain JSON: the client's typed models cost more than the call itself. Where an answer is only
needed for its metadata, the server is asked for PartialObjectMetadata, so that no private key travels back.
"""

import asyncio
import base64
import json
import logging
import os
import re
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from csr_operator.api.keys import Kind, ObjectKey, SecretKey
from csr_operator.api.names import GROUP, MANAGED_LABEL, MANAGER, REVOCATION_FINALIZER, VERSION
from csr_operator.metrics import KUBERNETES_CALLS, UNREADABLE
from csr_operator.plugin.offload import offload

from .nesting import cut_nesting

logger = logging.getLogger(__name__)

_PLURALS = {
    Kind.CERTIFICATE_REQUEST: "certificaterequests",
    Kind.ISSUER: "issuers",
    Kind.CLUSTER_ISSUER: "clusterissuers",
}
_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_APPLY = "application/apply-patch+yaml; charset=utf-8"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NOT_YAML = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_PAGE, _PAGE_OF_WHOLES = 500, 100
_WATCH_SECONDS = 300
_LOGIN_PAUSE = 5.0
"""Seconds until credentials that the API server refuses are read again."""

MOST_BYTES = 3 * 1024 * 1024
"""Of one watch event, and of one page of a list: it is parsed within some 30 ms. The metadata of an object stays far
below: annotations have 256 KiB at most, which JSON makes six times as long. Owner references and managedFields alone
have no such bound."""

_MOST_WHOLE = 16 * 1024 * 1024
"""Of one CertificateRequest or issuer, which is needed whole; etcd takes 1.5 MiB, unless it was told to take more."""

_HEAD_BYTES = 64 * 1024
_HEAD = re.compile(
    rb'"metadata":(\{"name":"[^"\\]{1,253}"'
    rb'(?:,"(?:generateName|namespace|uid|resourceVersion|creationTimestamp|deletionTimestamp)":"[^"\\]{0,253}"'
    rb'|,"(?:generation|deletionGracePeriodSeconds)":\d{1,19})*)'
)
"""How the API server begins an object's metadata (ObjectMeta of k8s.io/apimachinery): these fields come before those
that may be of any size."""

_LIST_HEAD = re.compile(rb'^\{[^{]{0,1024}"metadata":(\{[^{}]{0,32768}\})')
_EVENT_HEAD = re.compile(rb'^\{"type":"([A-Z]{1,16})"')

Object = dict[str, Any]


class Source(NamedTuple):
    """What is listed and watched together. kind: None for the operator's own Secrets, of which only the metadata is
    asked for. namespace: empty for the whole cluster."""

    kind: Kind | None
    namespace: str

    @property
    def resource(self) -> str:
        return "secrets" if self.kind is None else _PLURALS[self.kind]

    def __str__(self) -> str:
        return f"{self.resource} in namespace {self.namespace}" if self.namespace else self.resource


class RouteKind(StrEnum):
    """What leads a CA's challenge to the operator, or only remembers it (`challenges/routes.py`)."""

    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"
    CONFIG_MAP = "ConfigMap"


_ROUTES = {
    RouteKind.INGRESS: ("/apis/networking.k8s.io/v1", "ingresses"),
    RouteKind.HTTP_ROUTE: ("/apis/gateway.networking.k8s.io/v1", "httproutes"),
    RouteKind.CONFIG_MAP: ("/api/v1", "configmaps"),
}


class KubeError(Exception):
    """The API server refused; `reason` is that of its Status (https://kubernetes.io/docs/reference/using-api/)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP status {status}")
        self.status, self.reason = status, reason


class Unreachable(Exception):
    """No answer of the API server: it is down, or the connection broke."""


class NoConfiguration(Exception):
    """Neither a kubeconfig nor the pod says where the API server is and who we are."""


class Kube(Protocol):
    async def get_secret(self, key: SecretKey) -> Object | None: ...
    async def secret_metadata(self, key: SecretKey) -> Object | None: ...
    async def apply_secret(self, key: SecretKey, body: Object, *, new: bool) -> Object: ...
    async def patch_status(self, key: ObjectKey, resource_version: str, status: Object) -> Object: ...
    async def create_event(self, namespace: str, body: Object) -> None: ...
    async def annotate_secret(self, secret: Object, annotation: str, value: str | None) -> Object: ...
    async def delete_secret(self, key: SecretKey, uid: str) -> None: ...
    async def release_secret(self, key: SecretKey, uid: str) -> None: ...
    async def patch_finalizers(self, key: ObjectKey, resource_version: str, finalizers: list[str]) -> Object: ...
    async def guard_secret(self, key: SecretKey, uid: str, *, guarded: bool) -> Object: ...
    async def get_request(self, key: ObjectKey) -> Object | None: ...
    async def namespace_labels(self, namespace: str) -> dict[str, str]: ...
    async def namespace_is_going(self, namespace: str) -> bool: ...


class RouteKube(Protocol):
    async def apply_route(self, kind: RouteKind, namespace: str, body: Object) -> None: ...
    async def delete_route(self, kind: RouteKind, namespace: str, name: str, resource_version: str = "") -> None: ...
    def list_routes(self, kind: RouteKind, namespace: str, selector: str) -> AsyncIterator[Object]: ...


class KubeClient:
    """Connects as `KUBECONFIG` says, else as the service account of the pod it runs in.

    agent: who it says that it is, as User-Agent and as field manager.
    """

    agent: ClassVar[str] = MANAGER

    def __init__(self, api: kubernetes_client.ApiClient, patience: float, silence: float) -> None:
        self._api = api
        self._host = api.configuration.host
        self._logged_in = 0.0
        self._limits = aiohttp.ClientTimeout(total=patience)
        self._watch_limits = aiohttp.ClientTimeout(connect=patience, sock_read=silence)

    @classmethod
    async def connect(cls, connections: int, patience: float, silence: float) -> "KubeClient":
        """At most `connections` at once, each watch being one. Raises NoConfiguration.

        patience: seconds for a call. silence: seconds without a sign of life after which a watch is given up.
        """
        configuration = await _configuration()
        configuration.connection_pool_maxsize = connections
        # Else every request makes two trips through a thread pool, to read ~/.netrc and the proxy variables. kopf's
        # own session reads neither: a proxy is named in the kubeconfig.
        configuration.client_session_kwargs = {"trust_env": False, "cookie_jar": aiohttp.DummyCookieJar()}
        return cls(kubernetes_client.ApiClient(configuration=configuration), patience, silence)

    async def close(self) -> None:
        await self._api.close()  # type: ignore[no-untyped-call]

    async def check_credentials(self) -> None:
        """Raises KubeError with status 401 if the API server does not know us."""
        await self._call("get", "GET", "version", "/version")

    async def check_discovery(self) -> None:
        """Raises KubeError, Unreachable unless the API server tells what it has."""
        for path in ("/api", "/api/v1", "/apis"):
            await self._call("get", "GET", "discovery", path)

    async def session(self) -> tuple[str, aiohttp.ClientSession]:
        """The API server's address, and a session for somebody else's calls of it, who has to close it."""
        headers = {auth["key"]: auth["value"] for auth in (await self._api.configuration.auth_settings()).values()}
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=2, ssl=self._api.rest_client.ssl_context),
            headers={**headers, "User-Agent": self.agent},
            proxy=self._api.configuration.proxy,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._host, session

    async def get_secret(self, key: SecretKey) -> Object | None:
        """None if there is none."""
        return await self._secret(key, _JSON)

    async def secret_metadata(self, key: SecretKey) -> Object | None:
        """None if there is none. Its data stays where it is."""
        return await self._secret(key, _METADATA)

    async def _secret(self, key: SecretKey, accept: str) -> Object | None:
        try:
            return await self._call("get", "GET", "secrets", _secret_path(key), accept=accept)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def apply_secret(self, key: SecretKey, body: Object, *, new: bool) -> Object:
        """Server-side apply, which takes over what others changed of the operator's fields.

        new: there must be no Secret of that name yet; one that is there, whosever it is, is a 409. Returns the
        metadata only.
        """
        if new:
            # A version that no object can have (etcd counts from 2) fails on any that exists, and on no other.
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        query = {"fieldManager": self.agent, "force": "true"}
        path = _secret_path(key)
        return await self._call(
            "apply", "PATCH", "secrets", path, query=query, body=_yaml(body), content_type=_APPLY, accept=_METADATA
        )

    async def patch_status(self, key: ObjectKey, resource_version: str, status: Object) -> Object:
        """A merge patch that is refused with 409 if the object changed since `resource_version`.

        Returns the metadata only.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        path = f"{_path(key.kind, key.namespace)}/{key.name}/status"
        return await self._call(
            "patch",
            "PATCH",
            f"{_PLURALS[key.kind]}/status",
            path,
            query={"fieldManager": self.agent},
            body=body,
            content_type=_MERGE,
            accept=_METADATA,
        )

    async def annotate_secret(self, secret: Object, annotation: str, value: str | None) -> Object:
        """Set, or (None) remove, one annotation; 409 if `secret` changed since it was read.

        Returns the metadata only.
        """
        metadata = secret["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": {annotation: value}}}
        return await self._call(
            "patch",
            "PATCH",
            "secrets",
            _secret_path(SecretKey(metadata["namespace"], metadata["name"])),
            query={"fieldManager": self.agent},
            body=body,
            content_type=_MERGE,
            accept=_METADATA,
        )

    async def delete_secret(self, key: SecretKey, uid: str) -> None:
        """Only the one with `uid`; one that is gone, or another, is fine."""
        try:
            await self._call("delete", "DELETE", "secrets", _secret_path(key), body={"preconditions": {"uid": uid}})
        except KubeError as error:
            if error.status not in (404, 409):
                raise

    async def release_secret(self, key: SecretKey, uid: str) -> None:
        """Remove its finalizers; one that is gone, or another of its name, is fine."""
        body = {"metadata": {"uid": uid, "finalizers": None}}
        query = {"fieldManager": self.agent}
        try:
            await self._call(
                "patch",
                "PATCH",
                "secrets",
                _secret_path(key),
                query=query,
                body=body,
                content_type=_MERGE,
                accept=_METADATA,
            )
        except KubeError as error:
            if error.status not in (404, 409, 422):
                raise

    async def guard_secret(self, key: SecretKey, uid: str, *, guarded: bool) -> Object:
        """Add REVOCATION_FINALIZER to the one with `uid`, or take it from it, and no other. Returns the metadata only.

        https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
        """
        field = "finalizers" if guarded else "$deleteFromPrimitiveList/finalizers"
        body = {"metadata": {"uid": uid, field: [REVOCATION_FINALIZER]}}
        return await self._call(
            "patch",
            "PATCH",
            "secrets",
            _secret_path(key),
            query={"fieldManager": self.agent},
            body=body,
            content_type=_STRATEGIC,
            accept=_METADATA,
        )

    async def get_request(self, key: ObjectKey) -> Object | None:
        """A CertificateRequest as it is at this moment; None if there is none."""
        if not _NAME.fullmatch(key.name):
            return None  # as an owner reference may have it, which leads elsewhere
        try:
            return await self._call("get", "GET", _PLURALS[key.kind], f"{_path(key.kind, key.namespace)}/{key.name}")
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def patch_finalizers(self, key: ObjectKey, resource_version: str, finalizers: list[str]) -> Object:
        """Refused with 409 if the object changed since `resource_version`. Returns the metadata only."""
        body = {"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}}
        path = f"{_path(key.kind, key.namespace)}/{key.name}"
        return await self._call(
            "patch",
            "PATCH",
            _PLURALS[key.kind],
            path,
            query={"fieldManager": self.agent},
            body=body,
            content_type=_MERGE,
            accept=_METADATA,
        )

    async def namespace_is_going(self, namespace: str) -> bool:
        """It is being deleted, with all that is in it; False if the operator may not know."""
        try:
            answer = await self._call("get", "GET", "namespaces", f"/api/v1/namespaces/{namespace}", accept=_METADATA)
        except KubeError as error:
            if error.status not in (403, 404):
                raise
            return error.status == 404
        return "deletionTimestamp" in answer["metadata"]

    async def namespace_labels(self, namespace: str) -> dict[str, str]:
        answer = await self._call("get", "GET", "namespaces", f"/api/v1/namespaces/{namespace}", accept=_METADATA)
        return dict(answer["metadata"].get("labels") or {})

    async def create_event(self, namespace: str, body: Object) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        await self._call("create", "POST", "events", path, body=body, accept=_METADATA)

    async def apply_route(self, kind: RouteKind, namespace: str, body: Object) -> None:
        """Server-side apply, which makes it if it is not there."""
        await self._call(
            "apply",
            "PATCH",
            _ROUTES[kind][1],
            f"{_routes_path(kind, namespace)}/{body['metadata']['name']}",
            query={"fieldManager": self.agent, "force": "true"},
            body=_yaml(body),
            content_type=_APPLY,
            accept=_METADATA,
        )

    async def delete_route(self, kind: RouteKind, namespace: str, name: str, resource_version: str = "") -> None:
        """One that is gone is fine, and so is one that is another one since `resource_version`."""
        body = {"preconditions": {"resourceVersion": resource_version}} if resource_version else None
        try:
            await self._call("delete", "DELETE", _ROUTES[kind][1], f"{_routes_path(kind, namespace)}/{name}", body=body)
        except KubeError as error:
            if error.status not in (404, 409):
                raise

    async def list_routes(self, kind: RouteKind, namespace: str, selector: str) -> AsyncIterator[Object]:
        """The metadata of those with the label `selector`; none where the cluster does not know the kind."""
        try:
            async for page in self._pages(_ROUTES[kind][1], _routes_path(kind, namespace), {"labelSelector": selector}):
                for item in page["items"] or ():
                    yield item
        except KubeError as error:
            if error.status != 404:
                raise

    async def pages(self, source: Source) -> AsyncIterator[Object]:
        """All that there is of `source`, in lists of some."""
        if source.kind is None:
            pages = self._pages("secrets", _secrets_path(source.namespace), {"labelSelector": MANAGED_LABEL})
        else:
            path = _path(source.kind, source.namespace)
            pages = self._pages(source.resource, path, {}, _JSON, size=_PAGE_OF_WHOLES, most_of_one=_MOST_WHOLE)
        async for page in pages:
            yield page

    async def watch(self, source: Source, resource_version: str) -> AsyncIterator[Object]:
        """Watch events since then, until the server ends it. Raises KubeError, and Unreachable for a line that is none
        as well: whoever follows has to list again."""
        secrets = source.kind is None
        query = {
            "watch": "true",
            **({"labelSelector": MANAGED_LABEL} if secrets else {}),
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        path = _secrets_path(source.namespace) if source.kind is None else _path(source.kind, source.namespace)
        headers = {"Accept": _METADATA if secrets else _JSON}
        path = f"{path}?{urlencode(query)}"
        response = await self._send("watch", "GET", source.resource, path, None, headers, self._watch_limits)
        try:
            async for line in _lines(response.content, MOST_BYTES if secrets else _MOST_WHOLE):
                yield _secret_event(line) if secrets else await _event(line)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"watch {source.resource}: {_words(error)}") from error
        finally:
            response.close()

    async def _pages(
        self,
        resource: str,
        path: str,
        query: Mapping[str, str],
        accept: str = _METADATA_LIST,
        size: int = _PAGE,
        most_of_one: int = MOST_BYTES,
    ) -> AsyncIterator[Object]:
        """Smaller ones where one is too large; of a single object that is, only the head of its metadata."""
        parameters, most_at_once = dict(query), size
        while True:
            parameters["limit"] = str(size)
            most = MOST_BYTES if size > 1 else most_of_one
            text, whole = await self._page(resource, path, parameters, accept, most)
            page = _json(text) if whole else None
            if page is None and whole and accept == _JSON:
                page = await _without_depths(text)
            if page is None and size > 1:
                size = max(size // 8, 1)
                continue
            if page is None:
                page = _list_head(text)
            yield page
            token = page["metadata"].get("continue")
            if not token:
                return
            parameters["continue"] = token
            size = min(size * 2, most_at_once)

    async def _page(
        self, resource: str, path: str, query: Mapping[str, str], accept: str, most: int
    ) -> tuple[bytes, bool]:
        """The text of one page; False with only its beginning, if it is too large."""
        path, headers = f"{path}?{urlencode(query)}", {"Accept": accept}
        response = await self._send("list", "GET", resource, path, None, headers, self._limits)
        text = bytearray()
        try:
            async for chunk in response.content.iter_any():
                text += chunk
                if len(text) > most:
                    return bytes(text[:_HEAD_BYTES]), False
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"list {resource}: {_words(error)}") from error
        finally:
            response.close() if len(text) > most else response.release()
        return bytes(text), True

    async def _call(
        self,
        verb: str,
        method: str,
        resource: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | str | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Object:
        if query:
            path = f"{path}?{urlencode(query)}"
        headers = {"Accept": accept, "Content-Type": content_type}
        response = await self._send(verb, method, resource, path, body, headers, self._limits)
        try:
            answer: Object = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise Unreachable(f"{verb} {resource}: {_words(error)}") from error
        return answer

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
        for auth in (await self._api.configuration.auth_settings()).values():
            headers[auth["key"]] = auth["value"]
        headers["User-Agent"] = self.agent
        try:
            answer = await self._api.call_api(method, self._host + path, headers, body, _request_timeout=limits)
            response: aiohttp.ClientResponse = answer.response
            if response.status < 400:
                KUBERNETES_CALLS.labels(verb, resource, str(response.status)).inc()
                return response
            text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            KUBERNETES_CALLS.labels(verb, resource, "error").inc()
            raise Unreachable(f"{verb} {resource}: {_words(error)}") from error
        KUBERNETES_CALLS.labels(verb, resource, str(response.status)).inc()
        if response.status == 401:
            await self._log_in_again()
        try:
            status = json.loads(text)
            raise KubeError(response.status, status.get("reason", ""), status.get("message", ""))
        except (ValueError, AttributeError):
            raise KubeError(response.status, "", " ".join(text[:200].split())) from None

    async def _log_in_again(self) -> None:
        """Read the token anew: the one that was refused may have been replaced just now."""
        now = asyncio.get_running_loop().time()
        if now - self._logged_in < _LOGIN_PAUSE:
            return
        self._logged_in = now
        try:
            fresh = await _configuration()
        except NoConfiguration as error:
            logger.warning("the credentials cannot be read again: %s", error)
            return
        ours = self._api.configuration
        ours.api_key, ours.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook


async def _configuration() -> kubernetes_client.Configuration:
    """As the pod says, else as the kubeconfig does. Raises NoConfiguration."""
    configuration = kubernetes_client.Configuration()
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException:
        await load_kubeconfig(configuration, kubeconfigs())
    return configuration


async def _lines(content: aiohttp.StreamReader, most: int) -> AsyncIterator[bytes]:
    """Each line, without its end. Of one of more than `most` bytes only the beginning is kept, and yielded."""
    held, size = bytearray(), 0
    async for chunk in content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            held += part
            size += len(part)
            if held:
                yield bytes(held if size <= most else held[:_HEAD_BYTES])
            held, size = bytearray(), 0
        held += rest
        size += len(rest)
        if size > most:
            del held[_HEAD_BYTES:]


def _json(text: bytes) -> Object | None:
    """None for what is no JSON object, or nested too deeply for the parser."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def _without_depths(text: bytes) -> Object | None:
    """As `_json`, with null for what is nested too deeply."""
    return _json(await offload(len(text), cut_nesting, text))


async def _event(line: bytes) -> Object:
    """A watch event. Raises Unreachable."""
    event = _json(line) or await _without_depths(line)
    if event is None or not isinstance(event.get("object"), dict):
        raise Unreachable("what came on the watch is not an event")
    return event


def _secret_event(line: bytes) -> Object:
    """A watch event; if it cannot be read, one with the head of the object's metadata alone. Raises Unreachable."""
    event = _json(line)
    if event is not None and isinstance(event.get("object"), dict):
        return event
    kind, head = _EVENT_HEAD.match(line), _head(line)
    if kind is None or head is None:
        raise Unreachable("what came on the watch is not an event")
    UNREADABLE.labels("Secret").inc()
    return {"type": kind[1].decode(), "object": head}


def _list_head(text: bytes) -> Object:
    """A page of one object that cannot be read: with the head of its metadata alone. Raises Unreachable."""
    found, head = _LIST_HEAD.match(text), _head(text.partition(b'"items":')[2])
    metadata = _json(found[1]) if found is not None else None
    if metadata is None:
        raise Unreachable("list: a page cannot be read")
    return {"metadata": metadata, "items": [] if head is None else [head]}


def _head(text: bytes) -> Object | None:
    found = _HEAD.search(text[:_HEAD_BYTES])
    metadata = _json(found[1] + b"}") if found is not None else None
    if metadata is None:
        return None
    where = f"{metadata.get('namespace', '')}/{metadata['name']}"
    logger.warning("%s: its metadata is too large, or nested too deeply, and is not read beyond its name", where)
    return {"metadata": metadata}


async def load_kubeconfig(
    configuration: kubernetes_client.Configuration, paths: Sequence[Path], context: str | None = None
) -> str:
    """Fill `configuration` as these files say, merged, and return the namespace of the context; empty if it has none.

    context: which one, if not the files' own. Raises NoConfiguration.
    """
    names = os.pathsep.join(map(str, paths))
    try:
        if not any(path.exists() and path.stat().st_size for path in paths):
            raise FileNotFoundError("there is no such file, or it is empty, and this process does not run in a pod")
        loader = await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=names, context=context, client_configuration=configuration
        )
        return str(loader.current_context["context"].get("namespace") or "")
    except Exception as error:  # the loader raises whatever a malformed file makes it stumble over
        words = " ".join(_words(error).split())
        raise NoConfiguration(f"cannot use the kubeconfig {names}: {words}: set KUBECONFIG to a valid one") from error


def kubeconfigs() -> list[Path]:
    """Those of `KUBECONFIG`, else the usual one, whether they exist or not."""
    named = os.environ.get("KUBECONFIG")
    return [Path(part) for part in named.split(os.pathsep) if part] if named else [Path("~/.kube/config").expanduser()]


def secret_data(secret: Object) -> dict[str, bytes]:
    """`data` of a Secret, decoded."""
    return {name: base64.b64decode(value) for name, value in (secret.get("data") or {}).items()}


def _yaml(body: Object) -> str:
    """As JSON that is YAML as well: that knows no surrogates, and takes some characters only if they are escaped."""
    text = json.dumps(body, ensure_ascii=False)
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _path(kind: Kind, namespace: str) -> str:
    scope = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}/{scope}{_PLURALS[kind]}"


def _routes_path(kind: RouteKind, namespace: str) -> str:
    root, plural = _ROUTES[kind]
    return f"{root}/namespaces/{namespace}/{plural}"


def _secret_path(key: SecretKey) -> str:
    """Raises KubeError for what is no name of a Secret: `..` in a path would lead to another namespace."""
    if not _NAME.fullmatch(key.name):
        raise KubeError(404, "NotFound", f"{key.name!r} is not a valid Secret name")
    return f"/api/v1/namespaces/{key.namespace}/secrets/{key.name}"


def _secrets_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
