"""The watches: one of each kind that is watched (`kube.resources.WATCHED`), in each namespace or in all.

Whatever goes wrong on a watch, an answer that makes no sense included, ends no more than this watch: everything is
listed anew.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

from csr_operator.api.keys import Kind, ObjectKey, Raw, SecretKey
from csr_operator.api.names import GROUP
from csr_operator.control.reconciler import Key, Reconciler
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.resources import WATCHED
from csr_operator.kube.sources import Source, list_pages, watch_events
from csr_operator.kube.transport import Transport
from csr_operator.plugin.offload import locate_error

logger = logging.getLogger(__name__)

_PAUSE = 1.0
_RELIST = 600.0
"""Seconds after which is listed anew what went well: an event that a watch lost is made up for."""

_AT_ONCE = 16
"""Objects that are looked at before others have their turn."""

_LONGEST_QUIET = 300.0
"""Seconds until the log says the same of a watch again; at first it does after a few."""

_SILENCES = 3
"""So many times the longest silence of a healthy watch, and the operator is not ready."""

_STANDSTILLS = 10
"""So many, without even an attempt, and it is not alive: a bug."""


class _Expired(Exception):
    """The server no longer has the changes since our resource version: list again."""


def sources(namespaces: Collection[str]) -> list[Source]:
    """What is watched. namespaces: none for all."""
    return [
        *(
            Source(kind, namespace)
            for namespace in namespaces or ("",)
            for kind, resource in WATCHED.items()
            if resource.namespaced
        ),
        *(Source(kind, "") for kind, resource in WATCHED.items() if not resource.namespaced),
    ]


class Pulse:
    """Whether the watches live. silence: seconds after which one that shows nothing is given up, and listed anew."""

    def __init__(self, watched: Collection[Source], silence: float) -> None:
        self._silence, self._clock = silence, asyncio.get_running_loop().time
        now = self._clock()
        self._unlisted = dict.fromkeys(watched, "has not been listed yet")
        self._alive = dict.fromkeys(watched, now)
        self._tried = dict.fromkeys(watched, now)
        self._changed = asyncio.Event()

    def beats(self, source: Source) -> None:
        """The API server showed something of it: a page of a list, a change, or that nothing changed (bookmark)."""
        self._alive[source] = self._tried[source] = self._clock()

    def is_listed(self, source: Source) -> None:
        self.beats(source)
        self._unlisted.pop(source, None)
        if not self._unlisted:
            self._changed.set()

    def fails(self, source: Source, reason: str, *, gone: bool = False) -> None:
        """gone: the API server has nothing of that kind any more, so that what was listed is of no use."""
        self._tried[source] = self._clock()
        if gone or source in self._unlisted:
            self._unlisted[source] = reason

    async def all_listed(self) -> None:
        """Return when all that there is has been listed once."""
        await self._changed.wait()

    @property
    def patience(self) -> float:
        """Seconds for which an API server that is away, or refuses, is no reason for not being ready."""
        return _SILENCES * self._silence

    def unready(self) -> str:
        """Why what is known may be out of date; empty if it is not."""
        for source, reason in self._unlisted.items():
            return f"{source}: {reason}"
        return self._late(self._alive, self.patience, "the API server has shown nothing of them for")

    def standstill(self) -> str:
        """Which watch is not even tried any more; empty if none."""
        return self._late(self._tried, _STANDSTILLS * self._silence, "nothing was tried for")

    def _late(self, last: dict[Source, float], patience: float, problem: str) -> str:
        source, since = min(last.items(), key=lambda entry: entry[1])
        silent = self._clock() - since
        return f"{source}: {problem} {silent:.0f} s" if silent > patience else ""


class Lists:
    """What has to be listed anew, and whether it was."""

    def __init__(self, watched: Collection[Source]) -> None:
        self._wishes = 0
        self._read = dict.fromkeys(watched, 0)  # by which wish the last list of it began that is through
        self._wanted = {source: asyncio.Event() for source in watched}
        self._progress = asyncio.Event()

    def wanted(self, source: Source) -> asyncio.Event:
        """Set while a list is asked for that has not begun."""
        return self._wanted[source]

    def begin(self, source: Source) -> int:
        """A list begins; returns what `end` is to be told."""
        self._wanted[source].clear()
        return self._wishes

    def end(self, source: Source, wish: int) -> None:
        """It is through."""
        self._read[source] = wish
        self._progress.set()

    def ask(self) -> int:
        """Have all be listed anew; returns what `through` is to be told."""
        self._wishes += 1
        for event in self._wanted.values():
            event.set()
        return self._wishes

    async def through(self, wish: int) -> None:
        """Return when all lists are through that were asked for by then."""
        while min(self._read.values()) < wish:
            self._progress.clear()
            await self._progress.wait()


async def follow(
    transport: Transport,
    reconciler: Reconciler,
    source: Source,
    pulse: Pulse,
    longest_pause: float,
    lists: Lists,
) -> None:
    """List, then watch, for ever. longest_pause: seconds between two attempts, at the most."""
    pause, clock, voice = _PAUSE, asyncio.get_running_loop().time, _Voice(source)
    list_anew = lists.wanted(source)
    while True:
        began, gone = clock(), False
        wish = lists.begin(source)
        try:
            version = await _list(transport, reconciler, source, pulse)
            pulse.is_listed(source)
            lists.end(source, wish)
            voice.recovered()
            while clock() - began < _RELIST and not list_anew.is_set():
                since = clock()
                version = await _unless(
                    list_anew, _watch(transport, reconciler, source, version, pulse), otherwise=version
                )
                if clock() - since < _PAUSE and not list_anew.is_set():
                    await asyncio.sleep(_PAUSE)  # a server that ends each watch at once is not asked without end
            continue
        except _Expired:
            reason = "" if clock() - began > longest_pause else "the server has forgotten what it told just now"
        except Exception as error:  # whatever it is, the other objects are to be seen
            reason, gone = _describe(source, error), isinstance(error, KubeError) and error.status == 404
        if clock() - began > longest_pause:  # it went well for a while
            pause = _PAUSE
        if reason:
            pulse.fails(source, reason, gone=gone)
            voice.says(reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest_pause)


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, str], otherwise: str) -> str:
    """What comes of `work`; it is given up when the event is set."""
    working, waiting = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else otherwise
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


class _Voice:
    """Warnings about one watch; of an outage that lasts, ever fewer."""

    def __init__(self, source: Source) -> None:
        self._source, self._clock = source, asyncio.get_running_loop().time
        self._last, self._next, self._quiet = "", 0.0, 0.0

    def says(self, message: str) -> None:
        now = self._clock()
        if message == self._last and now < self._next:
            return
        self._quiet = min(max(self._quiet * 2, 10.0), _LONGEST_QUIET) if message == self._last else 0.0
        self._last, self._next = message, now + self._quiet
        logger.warning("%s: %s; trying again", self._source, message)

    def recovered(self) -> None:
        self._last = ""


async def _list(transport: Transport, reconciler: Reconciler, source: Source, pulse: Pulse) -> str:
    version = ""
    gone = dict(reconciler.known(source.namespace))
    async for page in list_pages(transport, source):
        for count, item in enumerate(page["items"] or ()):
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            key = _key(source, item)
            uid = gone.pop(key, "")
            if uid not in ("", item["metadata"]["uid"]):
                reconciler.forget(key, uid, item["metadata"]["resourceVersion"])
            reconciler.observe(item)
        version = page["metadata"]["resourceVersion"]
        pulse.beats(source)
    for key, uid in gone.items():
        reconciler.forget(key, uid, version)
    return version


async def _watch(transport: Transport, reconciler: Reconciler, source: Source, version: str, pulse: Pulse) -> str:
    """Follow one watch to its end; returns the resource version to go on from."""
    count = 0
    try:
        async for event in watch_events(transport, source, version):
            count += 1
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)
            obj = event["object"]
            if event["type"] == "ERROR":
                raise KubeError(obj.get("code", 0), obj.get("reason", ""), obj.get("message", ""))
            version = obj["metadata"]["resourceVersion"]
            pulse.beats(source)
            if event["type"] == "BOOKMARK":
                continue
            if event["type"] == "DELETED":
                reconciler.forget(_key(source, obj), obj["metadata"]["uid"], version)
            else:
                reconciler.observe(obj)
    except KubeError as error:
        if error.status == 410:
            raise _Expired from None
        raise
    return version


def _key(source: Source, obj: Raw) -> Key:
    metadata = obj["metadata"]
    if source.kind is Kind.SECRET:
        return SecretKey(metadata["namespace"], metadata["name"])
    return ObjectKey(source.kind, metadata.get("namespace", ""), metadata["name"])


def _describe(source: Source, error: Exception) -> str:
    """What the API server, or the way to it, said; of any other error only where it is from."""
    if isinstance(error, KubeError):
        if error.status == 404 and source.resource.group == GROUP:
            name = f"{source.resource.plural}.{GROUP}"
            return f"the CustomResourceDefinition {name} is not installed: kubectl apply --server-side -k deploy/"
        if error.status == 401:
            return "the API server refuses the operator's credentials (401 Unauthorized)"
        return str(error)
    return str(error) if isinstance(error, Unreachable) else locate_error(error)
