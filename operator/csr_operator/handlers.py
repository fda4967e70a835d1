"""The only module that imports kopf: it watches, authenticates and ends the process; all else is the controller's."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import kopf

from .alpn import AlpnCertificates
from .challenge_server import serve_http, serve_tls
from .controller import Controller
from .kube import KubeClient, KubeError, Unreachable
from .lag import measure_lag
from .metrics import REGISTRY, RequestCollector
from .model import GROUP, MANAGER, STATE_KEY, VERSION, Kind
from .responder import Challenges
from .seal import Seal
from .settings import Settings
from .shallow import ShallowResponse
from .state_key import UnusableKey, read_state_keys
from .watch import follow_secrets, forget_gone, wait_until_listed
from .web import serve_metrics, serve_probes

logger = logging.getLogger(__name__)

_PLURALS = {
    "certificaterequests": Kind.CERTIFICATE_REQUEST,
    "issuers": Kind.ISSUER,
    "clusterissuers": Kind.CLUSTER_ISSUER,
}


_REFUSED = "the API server refuses the operator's credentials (401 Unauthorized): renew the token or certificate"


_PAUSE = 1.0
"""Seconds until the API server is asked again."""
_SWITCH = 0.001
"""Seconds after which a thread that computes has to let the event loop go on; Python's own 0.005 add up."""


class OperatorFailed(Exception):
    """A part that must always run has ended."""


class _Patience:
    """kopf's pauses between attempts to reach the API server: it never gives up, however long the outage."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0, 2.0)
        while True:
            yield 3.0


class _NoDiffBase(kopf.DiffBaseStorage):
    """Spares kopf a copy of each object to compare the next with: only change handlers ask, and there are none."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def utc_now() -> datetime:
    return datetime.now(UTC)


class Operator:
    """One run of the operator. clock: the time now, in UTC."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._settings, self._clock = settings, clock
        self._stop = asyncio.Event()
        self._synced = asyncio.Event()
        self._relisted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Until SIGINT or SIGTERM.

        Raises NoConfiguration, CannotListen, and OperatorFailed if something broke that cannot be left broken.
        """
        sys.setswitchinterval(_SWITCH)
        watches = max(len(self._settings.namespaces), 1)
        self._kube = await KubeClient.connect(
            connections=watches + self._settings.workers + 8,
            patience=self._settings.api_timeout,
            silence=self._settings.watch_silence,
        )
        alpn = AlpnCertificates() if self._settings.acme_tls_host else None
        self._challenges = Challenges(
            self._kube,
            self._settings.namespace,
            self._clock,
            alpn,
            for_issuers=self._settings.http01_for_issuers,
        )
        self._seal = Seal()
        self._controller = Controller(self._settings, self._kube, self._clock, self._challenges, self._seal)
        collector = RequestCollector(self._controller.samples)
        REGISTRY.register(collector)
        try:
            async with self._listeners(alpn):
                await self._check_credentials()
                await kopf.operator(
                    registry=self._registry(),
                    settings=_kopf_settings(self._settings),
                    standalone=True,
                    clusterwide=not self._settings.namespaces,
                    namespaces=self._settings.namespaces,
                    stop_flag=self._stop,
                    # Unused when standalone; kopf's guess needs the user's name, which a container's bare UID lacks.
                    identity=MANAGER,  # type: ignore[arg-type]
                )
        except kopf.LoginError as error:
            raise OperatorFailed(_REFUSED) from error
        finally:
            REGISTRY.unregister(collector)
            await self._kube.close()
        if self._failure is not None:
            raise OperatorFailed(str(self._failure)) from self._failure

    @asynccontextmanager
    async def _listeners(self, alpn: AlpnCertificates | None) -> AsyncIterator[None]:
        ours = self._settings
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(serve_probes(ours.probe_host, ours.probe_port, self._synced))
            await stack.enter_async_context(serve_metrics(ours.metrics_host, ours.metrics_port))
            http = serve_http(ours.acme_http_host, ours.acme_http_port, self._challenges.answer)
            await stack.enter_async_context(http)
            if alpn is not None:
                await stack.enter_async_context(serve_tls(ours.acme_tls_host, ours.acme_tls_port, alpn.listener()))
            yield

    async def _check_credentials(self) -> None:
        try:
            await self._kube.check_credentials()
        except Unreachable:
            pass  # it may come yet; kopf waits for it
        except KubeError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise OperatorFailed(_REFUSED) from error

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=registry)(self._started)
        kopf.on.cleanup(registry=registry)(self._cleaned_up)
        kopf.on.login(registry=registry)(_log_in)
        for plural, kind in _PLURALS.items():
            kopf.on.event(GROUP, VERSION, plural, registry=registry, param=kind, id=plural)(self._event)
        return registry

    async def _event(self, event: Any, param: Any = None, **_: Any) -> None:
        if event["type"] is None:
            self._relisted.set()  # kopf lists anew: deletions may have been missed
        await self._controller.observe(Kind(param), event["type"] == "DELETED", event["object"])

    async def _started(self, **_: Any) -> None:
        self._begin("start", self._start())
        self._begin("lag", measure_lag())

    async def _start(self) -> None:
        namespaces = self._settings.namespaces
        await self._read_state_keys()
        lists = []
        for namespace in namespaces or ("",):
            lists.append(asyncio.Event())
            self._begin(f"secrets {namespace}", follow_secrets(self._kube, self._controller, namespace, lists[-1]))
        for listed in lists:
            await listed.wait()
        await wait_until_listed(self._kube, self._controller, namespaces)
        self._controller.start()
        self._relisted.clear()
        self._begin("challenges", self._challenges.sweep_for_ever())
        self._begin("forget", forget_gone(self._kube, self._controller, namespaces, self._relisted))
        self._synced.set()
        logger.info("ready: all that there is has been listed")

    async def _read_state_keys(self) -> None:
        while True:
            try:
                self._seal.use(await read_state_keys(self._kube, self._settings.namespace))
                return
            except UnusableKey as error:
                raise OperatorFailed(str(error)) from error
            except Unreachable as error:
                logger.warning("Secret %s: %s; trying again", STATE_KEY, error)
                await asyncio.sleep(_PAUSE)

    async def _cleaned_up(self, **_: Any) -> None:
        self._stop.set()  # kopf waits 5 s for whatever still runs, its own watch of this flag included
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._controller.stop()

    def _begin(self, name: str, coroutine: Any) -> None:
        if any(task.get_name() == name for task in self._tasks):
            coroutine.close()
            return
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended", task.get_name(), exc_info=None if isinstance(error, OperatorFailed) else error)
            self._failure = error
            self._stop.set()


async def _log_in(**given: Any) -> kopf.AiohttpSession | None:
    """As kopf does, with a session that hands it no JSON which it would end at."""
    info = await asyncio.to_thread(kopf.login_via_client, **given)
    if info is None:
        return None
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        auth=info.as_aiohttp_basic_auth(),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=ShallowResponse,
    )
    return kopf.AiohttpSession(
        server=info.server, default_namespace=info.default_namespace, priority=info.priority, aiohttp_session=session
    )


def _kopf_settings(ours: Settings) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # no rights on CRDs and Namespaces are needed then
    settings.watching.chunk_size = 100  # of at most 1.5 MiB each, as etcd stores them
    settings.queueing.idle_timeout = 0.1  # a task per object must not outlive its event
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.networking.error_backoffs = _Patience()
    settings.networking.request_timeout = ours.api_timeout
    settings.watching.inactivity_timeout = ours.watch_silence
    return settings
