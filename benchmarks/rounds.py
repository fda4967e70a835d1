"""What is measured: a round without the operator, a round with it, and its restart."""

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from operator import add
from typing import Any

from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate
from devcluster import ControlPlane
from tests.support.kubectl import condition, wait_until
from tests.support.operator import OperatorProcess

from .client import Client, Object, connect, in_parallel
from .machine import Snapshot, cpu_seconds, find_child, resident_mb

AT_ONCE = 32
"""Objects that the client has under way, and connections it has open; as many as the operator has workers."""

_PATIENCE = 60.0
_QUIET = 2.0
_SERVER = "kube-apiserver"


class NotReady(Exception):
    """Requests did not become Ready; the text names some, with what their condition said last."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A Secret and a status of the operator's making: what the client writes without it has the same size."""

    secret: Object
    status: Object

    def secret_for(self, request: Object) -> Object:
        metadata = self.secret["metadata"]
        owner = metadata["ownerReferences"][0] | {
            "name": request["metadata"]["name"],
            "uid": request["metadata"]["uid"],
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": self.secret["type"],
            "data": self.secret["data"],
            "metadata": {
                "name": request["spec"]["secretName"],
                "labels": metadata["labels"],
                "annotations": metadata["annotations"],
                "ownerReferences": [owner],
            },
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock, and CPU seconds meanwhile.

    all: of the control plane, the client and the operator together; others: of all that is not the benchmark's.
    """

    seconds: float
    server: float
    client: float
    all: float
    others: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class OperatorRound:
    """latencies: from the create call to Ready in the watch, in seconds, ascending. Memory in MB."""

    cost: Cost
    operator: float
    latencies: tuple[float, ...]
    resident: float
    peak: float


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds from the start of the process until `/readyz` and until it is idle; CPU seconds until then; MB."""

    ready: float
    idle: float
    cpu: float
    resident: float
    peak: float


def without_operator(cluster: ControlPlane, namespace: str, requests: list[Object], sample: Sample) -> Cost:
    """For each request: create it, create its Secret, patch its status. No more is possible on this machine now."""

    async def run() -> Cost:
        async with connect(cluster, AT_ONCE) as client:

            async def create(body: Object) -> None:
                request = await client.create_request(namespace, body)
                await client.create_secret(namespace, sample.secret_for(request))
                await client.patch_status(namespace, request["metadata"]["name"], sample.status)

            meter = _Meter()
            await in_parallel(create, requests, AT_ONCE)
            return meter.read()

    return asyncio.run(run())


def with_operator(
    cluster: ControlPlane, namespace: str, requests: list[Object], operator: OperatorProcess
) -> OperatorRound:
    """Create the requests; it is over when a watch has shown all of them Ready. Raises NotReady."""

    async def run() -> OperatorRound:
        async with connect(cluster, AT_ONCE) as client:
            created: dict[str, float] = {}

            async def create(body: Object) -> None:
                created[body["metadata"]["name"]] = time.perf_counter()
                await client.create_request(namespace, body)

            expected = {body["metadata"]["name"] for body in requests}
            watch = _ReadyWatch(client, namespace, expected, await client.resource_version(namespace))
            meter, before = _Meter(), cpu_seconds(operator.pid)
            watching = asyncio.create_task(watch.run())
            try:
                await in_parallel(create, requests, AT_ONCE)
                await watching
            finally:
                watching.cancel()
            cost, used = meter.read(), cpu_seconds(operator.pid) - before
            return OperatorRound(
                cost=cost,
                operator=used,
                latencies=tuple(sorted(watch.ready[name] - created[name] for name in expected)),
                resident=resident_mb(operator.pid),
                peak=resident_mb(operator.pid, peak=True),
            )

    return asyncio.run(run())


def restart(operator: OperatorProcess) -> Restart:
    """Start the operator, which has been stopped, over what there is."""
    started = time.monotonic()
    operator.launch()
    wait_until("the operator is ready", lambda: _is_ready(operator), seconds=300)
    ready = time.monotonic() - started
    busy_at, busy_cpu = time.monotonic(), cpu_seconds(operator.pid)
    while time.monotonic() - busy_at < _QUIET:
        time.sleep(0.05)
        if (cpu := cpu_seconds(operator.pid)) - busy_cpu > 0.02 * _QUIET:
            busy_at, busy_cpu = time.monotonic(), cpu
    return Restart(
        ready=ready,
        idle=busy_at - started,
        cpu=cpu_seconds(operator.pid),
        resident=resident_mb(operator.pid),
        peak=resident_mb(operator.pid, peak=True),
    )


def _is_ready(operator: OperatorProcess) -> bool:
    try:
        return operator.get("/readyz") == "ok\n"
    except OSError:
        return False


def rsa_keys_per_second(keys: int = 50) -> float:
    """RSA-2048 keys that all cores make, with one thread each and nothing else to do."""
    parameters = KeyParameters(KeyAlgorithm.RSA, 2048)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for made in [pool.submit(generate, parameters) for _ in range(keys)]:
            made.result()
    return keys / (time.perf_counter() - started)


class _Meter:
    def __init__(self) -> None:
        self._server = find_child(_SERVER)
        self._before, self._started = Snapshot.take(), time.perf_counter()

    def read(self) -> Cost:
        seconds, now = time.perf_counter() - self._started, Snapshot.take()
        used = now.used_since(self._before)
        return Cost(
            seconds=seconds,
            server=used[self._server],
            client=used[os.getpid()],
            all=sum(used.values()),
            others=now.others_since(self._before),
        )


class _ReadyWatch:
    """ready: when each of `expected` was first seen Ready (time.perf_counter)."""

    def __init__(self, client: Client, namespace: str, expected: set[str], resource_version: str) -> None:
        self._client, self._namespace, self._version = client, namespace, resource_version
        self._waiting: dict[str, Mapping[str, Any]] = {name: {} for name in expected}
        self.ready: dict[str, float] = {}

    async def run(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE) as patience:
                async for request in self._client.watch_requests(self._namespace, self._version):
                    name, ready = request["metadata"]["name"], condition(request, "Ready")
                    if name not in self._waiting:
                        continue
                    self._waiting[name] = ready
                    if ready.get("status") != "True":
                        continue
                    self.ready[name] = time.perf_counter()
                    del self._waiting[name]
                    patience.reschedule(asyncio.get_running_loop().time() + _PATIENCE)
                    if not self._waiting:
                        return
        except TimeoutError:
            some = "; ".join(
                f"{name}: {ready.get('message') or 'no condition'}" for name, ready in sorted(self._waiting.items())[:5]
            )
            raise NotReady(f"{len(self._waiting)} requests did not become Ready: {some}") from None
