"""How the Kubernetes API is called: through the official client's asyncio side, with bounds on time and size.

Bodies and answers are plain JSON: the client's typed models cost more than the call itself. Where an answer is only
needed for its metadata, the server is asked for PartialObjectMetadata, so that no private key travels back.
"""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio.client.rest import RESTClientObject
from multidict import CIMultiDict

from csr_operator.api.names import MANAGER
from csr_operator.fence import FencedRequest, check_fence
from csr_operator.metrics import KUBERNETES_CALLS
from csr_operator.plugin.schedule import parse_retry_after

from .bodies import (
    HEAD_BYTES,
    MOST_BYTES,
    is_json,
    is_versioned,
    parse_list_head,
    parse_object,
    parse_without_depths,
)
from .errors import KubeError, NoConfiguration, Unreachable
from .kubeconfig import read_configuration, tls_files_digest
from .objects import Object
from .resources import LEASES

logger = logging.getLogger(__name__)

JSON = "application/json"
"""A whole object, or a list of them."""

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""The metadata of an object alone (https://kubernetes.io/docs/reference/using-api/api-concepts/)."""

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""The same of a list."""

_APPLY = "application/apply-patch+yaml; charset=utf-8"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_NOT_YAML = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_PAGE = 500
_STRANGER = "what answered is not the Kubernetes API"
_LOGIN_PAUSE = 5.0
"""Seconds until is read again who we are and whom we trust, while the API server or its certificate is refused."""

_LONGEST_WAIT = timedelta(minutes=1)
"""For which a resource is left alone at most, where the API server asks for that."""


class Transport:
    """Calls of one API server. All raise KubeError and Unreachable."""

    def __init__(
        self,
        api: kubernetes_client.ApiClient,
        patience: float,
        silence: float,
        agent: str = MANAGER,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """patience: seconds for a call. silence: seconds without a sign of life after which a watch is given up.

        agent: the User-Agent and field manager. headers: sent with every call; a name may come several times.
        """
        self._api, self._headers, self.agent = api, headers, agent
        self.replica = ""
        """For the audit log: which of several calls, told beside `agent` in the User-Agent."""

        self._host = api.configuration.host
        self._logged_in = float("-inf")
        self._can_log_in = False
        self._left_alone: dict[str, float] = {}  # until when, by resource
        self._tls_files = tls_files_digest(api.configuration)
        self._limits = aiohttp.ClientTimeout(total=patience)
        self._watch_limits = aiohttp.ClientTimeout(connect=patience, sock_read=silence)

    @classmethod
    async def connect(cls, connections: int, patience: float, silence: float) -> "Transport":
        """As `KUBECONFIG` says, else as the service account of the pod; at most `connections` at once, each watch being
        one. Raises NoConfiguration."""
        configuration = await read_configuration()
        configuration.connection_pool_maxsize = connections
        # Else every request makes two trips through a thread pool, to read ~/.netrc and the proxy variables. kopf's
        # own session reads neither: a proxy is named in the kubeconfig.
        configuration.client_session_kwargs = {
            "trust_env": False,
            "cookie_jar": aiohttp.DummyCookieJar(),
            "request_class": FencedRequest,
        }
        transport = cls(kubernetes_client.ApiClient(configuration=configuration), patience, silence)
        transport._can_log_in = True
        return transport

    async def close(self) -> None:
        """End all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def check_credentials(self) -> None:
        """Raises KubeError with status 401 if the API server does not know us."""
        await self.call("get", "GET", "version", "/version", expects=is_json)

    async def check_discovery(self) -> None:
        """Raises KubeError, Unreachable unless the API server tells what it has."""
        for path in ("/api", "/api/v1", "/apis"):
            await self.call("get", "GET", "discovery", path, expects=is_json)

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

    async def call(
        self,
        verb: str,
        method: str,
        resource: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | str | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        expects: Callable[[object], bool] = is_versioned,
    ) -> Object:
        """The object or list that answers a request. verb, resource: what the metrics call it.

        expects: what of JSON is an answer to it; of anything else it was not the API server who said it.
        """
        if query:
            path = f"{path}?{urlencode(query)}"
        headers = {"Accept": accept, "Content-Type": content_type}
        response = await self._open(verb, method, resource, path, body=body, headers=headers)
        try:
            answer: Object = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise Unreachable(f"{verb} {resource}: {error_text(error)}") from error
        if not expects(answer):
            raise Unreachable(f"{verb} {resource}: {_STRANGER}")
        return answer

    async def apply(self, resource: str, path: str, body: Object) -> Object:
        """Server-side apply, which takes over what others changed of the fields in `body`. Returns the metadata only.

        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        query = {"fieldManager": self.agent, "force": "true"}
        return await self.call(
            "apply", "PATCH", resource, path, query=query, body=_yaml(body), content_type=_APPLY, accept=METADATA
        )

    async def patch(
        self, resource: str, path: str, body: Object, content_type: str = MERGE, accept: str = METADATA
    ) -> Object:
        """Returns the metadata, unless more is asked for."""
        query = {"fieldManager": self.agent}
        return await self.call(
            "patch", "PATCH", resource, path, query=query, body=body, content_type=content_type, accept=accept
        )

    async def pages(
        self,
        resource: str,
        path: str,
        query: Mapping[str, str],
        accept: str = METADATA_LIST,
        size: int = _PAGE,
        most_of_one: int = MOST_BYTES,
    ) -> AsyncIterator[Object]:
        """All objects, in lists of at most `size`: smaller ones where one is too large.

        most_of_one: bytes of a single object; of one that is larger, only the head of its metadata is given.
        """
        parameters, most_at_once = dict(query), size
        while True:
            parameters["limit"] = str(size)
            most = MOST_BYTES if size > 1 else most_of_one
            text, whole = await self._page(resource, path, parameters, accept, most)
            page = parse_object(text) if whole else None
            if page is None and whole and accept == JSON:
                page = await parse_without_depths(text)
            if page is None and size > 1:
                size = max(size // 8, 1)
                continue
            if page is None:
                page = parse_list_head(text)
            elif not is_versioned(page) or "items" not in page:
                raise Unreachable(f"list {resource}: {_STRANGER}")
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
        path = f"{path}?{urlencode(query)}"
        response = await self._open("list", "GET", resource, path, headers={"Accept": accept})
        text = bytearray()
        try:
            async for chunk in response.content.iter_any():
                text += chunk
                if len(text) > most:
                    return bytes(text[:HEAD_BYTES]), False
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"list {resource}: {error_text(error)}") from error
        finally:
            response.close() if len(text) > most else response.release()
        return bytes(text), True

    async def watch(
        self, resource: str, path: str, query: Mapping[str, str], accept: str = JSON
    ) -> aiohttp.ClientResponse:
        """A watch as it begins: whoever asked for it reads its lines, and closes it."""
        query = {"watch": "true", **query}
        path = f"{path}?{urlencode(query)}"
        return await self._open("watch", "GET", resource, path, headers={"Accept": accept}, limits=self._watch_limits)

    async def _open(
        self,
        verb: str,
        method: str,
        resource: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: Object | str | None = None,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer as it begins. Raises Fenced for a write that another replica may have taken over."""
        await self._wait_for_turn(resource)
        if method != "GET":
            check_fence()
        sent = CIMultiDict(headers)
        sent.extend(self._headers)
        for auth in (await self._api.configuration.auth_settings()).values():
            sent[auth["key"]] = auth["value"]
        sent["User-Agent"] = f"{self.agent} ({self.replica})" if self.replica else self.agent
        try:
            limits = limits or self._limits
            answer = await self._api.call_api(method, self._host + path, sent, body, _request_timeout=limits)
            response: aiohttp.ClientResponse = answer.response
            if response.status < 400:
                KUBERNETES_CALLS.labels(verb, resource, str(response.status)).inc()
                return response
            text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            KUBERNETES_CALLS.labels(verb, resource, "error").inc()
            if isinstance(error, aiohttp.ClientSSLError):
                await self._log_in_again()
            raise Unreachable(f"{verb} {resource}: {error_text(error)}") from error
        KUBERNETES_CALLS.labels(verb, resource, str(response.status)).inc()
        if response.status == 401:
            await self._log_in_again()
        self._leave_alone(resource, parse_retry_after(response.headers.get("Retry-After", "")))
        try:
            status = json.loads(text)
            raise KubeError(response.status, status.get("reason", ""), status.get("message", ""))
        except (ValueError, AttributeError):
            raise KubeError(response.status, "", " ".join(text[:200].split())) from None

    def _leave_alone(self, resource: str, wait: timedelta) -> None:
        """Ask nothing of `resource` for so long. Who renews its Lease later than that has lost its work to others."""
        if wait and resource != LEASES.plural:
            until = asyncio.get_running_loop().time() + min(wait, _LONGEST_WAIT).total_seconds()
            self._left_alone[resource] = max(until, self._left_alone.get(resource, 0.0))

    async def _wait_for_turn(self, resource: str) -> None:
        rest = self._left_alone.get(resource, 0.0) - asyncio.get_running_loop().time()
        if rest > 0:
            await asyncio.sleep(rest)

    async def _log_in_again(self) -> None:
        """Read the credentials anew, and the CA: what was refused may have been replaced just now."""
        now = asyncio.get_running_loop().time()
        if not self._can_log_in or now - self._logged_in < _LOGIN_PAUSE:
            return
        self._logged_in = now
        try:
            fresh = await read_configuration()
        except NoConfiguration as error:
            logger.warning("the credentials cannot be read again: %s", error)
            return
        ours = self._api.configuration
        ours.api_key, ours.refresh_api_key_hook = fresh.api_key, fresh.refresh_api_key_hook
        tls_files = tls_files_digest(fresh)
        if tls_files == self._tls_files:
            return
        fresh.connection_pool_maxsize, fresh.client_session_kwargs = (
            ours.connection_pool_maxsize,
            ours.client_session_kwargs,
        )
        try:
            replaced, self._api.rest_client = self._api.rest_client, RESTClientObject(fresh)
        except (OSError, ssl.SSLError) as error:  # it is being written just now
            logger.warning("the CA or certificate for the API server cannot be used: %s", error)
            return
        self._tls_files = tls_files
        logger.info("the CA or certificate for the API server was replaced: all connections are made anew")
        await replaced.close()


def error_text(error: Exception) -> str:
    """Its words; its type, if it has none."""
    return str(error) or type(error).__name__


def _yaml(body: Object) -> str:
    """As JSON that is YAML as well: that knows no surrogates, and takes some characters only if they are escaped."""
    text = json.dumps(body, ensure_ascii=False)
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
