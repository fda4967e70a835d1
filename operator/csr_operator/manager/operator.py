"""The only module that imports kopf, which starts, logs in and ends the process; all else is the controller's."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import kopf

from csr_operator.api.names import MANAGER, STATE_KEY
from csr_operator.api.replicas import Group
from csr_operator.api.seal import Seal
from csr_operator.challenges.alpn_responder import AlpnChallenges
from csr_operator.challenges.responder import Challenges
from csr_operator.challenges.server import serve_http, serve_tls
from csr_operator.control.controller import Controller
from csr_operator.issuance.backend_tasks import make_task
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.events import Events
from csr_operator.kube.leases import Leases
from csr_operator.kube.transport import Transport
from csr_operator.metrics import REGISTRY, RequestCollector
from csr_operator.plugin.http import http_session
from csr_operator.replicas.fencing import Holding
from csr_operator.replicas.identity import own_process
from csr_operator.replicas.losses import Losses
from csr_operator.replicas.membership import Membership
from csr_operator.settings import Settings
from csr_operator.web.probes import serve_metrics, serve_probes

from .lag import measure_lag
from .member import Member
from .state_key import UnusableKey, read_state_keys
from .watch import Lists, Pulse, follow, sources

logger = logging.getLogger(__name__)

_REFUSED = "the API server refuses the operator's credentials (401 Unauthorized): renew the token or certificate"


_PAUSE = 1.0
"""Seconds until the API server is asked again."""
_SWITCH = 0.001
"""Seconds after which a thread that computes has to let the event loop go on; Python's own 0.005 add up."""
_WORK_ENDS = 4.0
"""Seconds for what goes on to end before another replica takes over; what lasts longer is stopped."""
_LEAVING = 6.0
"""Seconds for all of that."""
LAST_SECONDS = 10.0
"""From the beginning of the end on: whatever has not ended by then is left as it is."""


class OperatorFailed(Exception):
    """A part that must always run has ended."""


class _Patience:
    """kopf's pauses between attempts to reach the API server: it never gives up, however long the outage."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1.0, 2.0)
        while True:
            yield 3.0


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class Operator:
    """One run of the operator.

    clock: the time now, in UTC.
    session: makes what backends ask their CAs and DNS services with.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        session: Callable[[], aiohttp.ClientSession] = http_session,
    ) -> None:
        self._settings, self._clock, self._session = settings, clock, session
        self._stop = asyncio.Event()
        self._synced = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def run(self) -> None:
        """Until SIGINT or SIGTERM.

        Raises NoConfiguration, CannotListen, and OperatorFailed if something broke that cannot be left broken.
        """
        sys.setswitchinterval(_SWITCH)
        asyncio.get_running_loop().set_task_factory(make_task)
        watched = sources(self._settings.namespaces)
        self._pulse = Pulse(watched, self._settings.watch_silence)
        transport = await Transport.connect(
            connections=len(watched) + self._settings.workers + 8,
            patience=self._settings.api_timeout,
            silence=self._settings.watch_silence,
        )
        self._kube = Kube.over(transport)
        ours = self._settings
        alpn = AlpnChallenges(self._kube.routes, ours.namespace, self._clock) if ours.acme_tls_host else None
        self._challenges = Challenges(
            self._kube.routes,
            self._settings.namespace,
            self._clock,
            alpn,
            for_issuers=self._settings.http01_for_issuers,
        )
        self._seal, self._events = Seal(), Events(self._kube.transport, self._clock)
        self._lists = Lists(watched)
        self._taken = asyncio.Event()
        self._holding = Holding()
        self._controller = Controller(
            self._settings,
            self._kube,
            self._clock,
            self._challenges,
            self._seal,
            self._session,
            Member(self._holding, self._taken),
        )
        self._membership = Membership(
            Leases(transport, self._settings.namespace),
            Group.of(self._settings.namespaces),
            self._holding,
            self._controller.scope,
            self._clock,
            Losses(self._events, self._settings.namespace).tell,
            own_process().identity,
        )
        self._joined = asyncio.Event()
        collector = RequestCollector(self._controller.samples, self._controller.issuer_samples)
        REGISTRY.register(collector)
        try:
            async with self._listeners(alpn):
                await self._check_credentials()
                await kopf.operator(
                    registry=self._registry(),
                    settings=_kopf_settings(self._settings),
                    standalone=True,
                    clusterwide=True,
                    stop_flag=self._stop,
                    # Unused when standalone; kopf's guess needs the user's name, which a container's bare UID lacks.
                    identity=MANAGER,  # type: ignore[arg-type]
                )
        except kopf.LoginError as error:
            raise OperatorFailed(_REFUSED) from error
        finally:
            REGISTRY.unregister(collector)
            await self._kube.transport.close()
        if self._failure is not None:
            raise OperatorFailed(str(self._failure)) from self._failure

    @asynccontextmanager
    async def _listeners(self, alpn: AlpnChallenges | None) -> AsyncIterator[None]:
        ours = self._settings
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                serve_probes(ours.probe_host, ours.probe_port, self._not_ready, self._not_alive)
            )
            await stack.enter_async_context(serve_metrics(ours.metrics_host, ours.metrics_port, ours.metrics_kept))
            http = serve_http(ours.acme_http_host, ours.acme_http_port, self._challenges.answer)
            await stack.enter_async_context(http)
            if alpn is not None:
                tls = serve_tls(ours.acme_tls_host, ours.acme_tls_port, alpn.answer, self._clock)
                await stack.enter_async_context(tls)
            yield

    async def _check_credentials(self) -> None:
        try:
            await self._kube.transport.check_credentials()
        except Unreachable:
            pass  # it may come yet; kopf waits for it
        except KubeError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise OperatorFailed(_REFUSED) from error

    def _not_ready(self) -> str:
        """Why; empty if it is ready."""
        if self._stop.is_set():
            return "the operator is shutting down"
        lasts = not self._joined.is_set() or self._membership.troubled > self._pulse.patience
        if self._membership.trouble and lasts:
            return f"the Leases of the replicas: {self._membership.trouble}"
        return self._pulse.unready() or ("" if self._synced else "not everything has been read yet")

    def _not_alive(self) -> str:
        """Why a restart is needed; empty if it lives. An API server that is away is no reason."""
        if not self._controller.is_alive():
            return "the operator's work has stopped"
        return self._pulse.standstill()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.startup(registry=registry)(self._started)
        kopf.on.cleanup(registry=registry)(self._cleaned_up)
        kopf.on.login(registry=registry)(self._log_in)
        return registry

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        """For kopf's own look at what the API server has, which it ends at if that is not well."""
        while True:
            try:
                await self._kube.transport.check_discovery()
                break
            except (KubeError, Unreachable) as error:
                logger.warning("the API server: %s; trying again", error)
                await asyncio.sleep(_PAUSE)
        server, session = await self._kube.transport.session()
        return kopf.AiohttpSession(server=server, aiohttp_session=session)

    async def _started(self, **_: Any) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, self._end)
        self._begin("start", self._start())
        self._begin("lag", measure_lag())

    def _end(self) -> None:
        """Have everything end, and see to it that it does."""
        if not self._stop.is_set():
            self._stop.set()
            last = threading.Timer(LAST_SECONDS, _leave)
            last.daemon = True
            last.start()

    async def _start(self) -> None:
        namespaces = self._settings.namespaces
        await self._read_state_keys()
        for namespace in namespaces:
            await self._look_for(namespace)
        self._begin("replicas", self._membership.run(self._has_joined))
        await self._joined.wait()
        self._taken.clear()
        takings = self._controller.scope.takings
        for source in sources(namespaces):
            watch = follow(
                self._kube.transport,
                self._controller.reconcilers[source.kind],
                source,
                self._pulse,
                self._settings.watch_pause,
                self._lists,
            )
            self._begin(f"watch {source}", watch)
        self._begin("catching up", self._catch_up())
        await self._pulse.all_listed()
        await self._controller.all_filed()
        self._controller.filed(takings)
        self._controller.start()
        self._begin("challenges", self._challenges.sweep_for_ever())
        self._synced = True
        logger.info("ready: everything has been listed")

    async def _look_for(self, namespace: str) -> None:
        """Tell of one that is not there: it may be misspelled, or come later."""
        try:
            await self._kube.namespaces.get_labels(namespace)
        except KubeError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                logger.warning("--namespace %s: there is no such namespace yet", namespace)
        except Unreachable:
            pass

    async def _read_state_keys(self) -> None:
        while True:
            try:
                self._seal.use(await read_state_keys(self._kube.secrets, self._settings.namespace))
                return
            except UnusableKey as error:
                raise OperatorFailed(str(error)) from error
            except (KubeError, Unreachable) as error:
                logger.warning("Secret %s: %s; trying again", STATE_KEY, error)
                await asyncio.sleep(_PAUSE)

    async def _cleaned_up(self, **_: Any) -> None:
        self._end()  # kopf waits 5 s for whatever still runs, its own watch of this flag included
        await self._leave()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._events.drain()
        await self._controller.stop()

    async def _leave(self) -> None:
        """Have the other replicas take over now, and not when this one is found dead."""
        for task in [task for task in self._tasks if task.get_name() == "replicas"]:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING):
                await self._membership.leave(_WORK_ENDS if self._holding.place[1] > 1 else 0.0)

    def _has_joined(self) -> None:
        self._kube.transport.replica = self._membership.name
        self._joined.set()

    async def _catch_up(self) -> None:
        """For ever: when shards were taken, have all be listed anew, and then be worked on."""
        while True:
            await self._taken.wait()
            self._taken.clear()
            takings = self._controller.scope.takings
            await self._lists.through(self._lists.ask())
            await self._controller.all_filed()
            self._controller.filed(takings)

    def _begin(self, name: str, coroutine: Any) -> None:
        if any(task.get_name() == name for task in self._tasks):
            coroutine.close()
            return
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error: BaseException | None
        if task.cancelled():
            # Only the end of the operator cancels tasks; else what a task awaited was.
            error = None if self._stop.is_set() else OperatorFailed(f"{task.get_name()} was cancelled")
        else:
            error = task.exception()
        if error is not None:
            logger.error("%s ended", task.get_name(), exc_info=None if isinstance(error, OperatorFailed) else error)
            self._failure = error
            self._end()


def _leave() -> None:
    logger.error("the operator did not shut down within %.0f s: exiting anyway", LAST_SECONDS)
    os._exit(1)


def _kopf_settings(ours: Settings) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # no rights on CRDs and Namespaces are needed then
    settings.process.ultimate_exiting_timeout = None  # `_leave` says why
    settings.networking.error_backoffs = _Patience()
    settings.networking.request_timeout = ours.api_timeout
    return settings
