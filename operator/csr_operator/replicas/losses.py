"""Tells of replicas that were lost, where whoever runs the operator looks: in events of its own namespace."""

import time
from collections import deque
from collections.abc import Callable

from csr_operator.api.names import is_name
from csr_operator.api.reasons import Reason
from csr_operator.api.replicas import read_process
from csr_operator.kube.events import Events
from csr_operator.kube.objects import Object
from csr_operator.kube.resources import LEASES, PODS

_MOST = 20
_HOUR = 3600.0


class Losses:
    """namespace: the operator's own. clock: seconds that only grow."""

    def __init__(self, events: Events, namespace: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._events, self._namespace, self._clock = events, namespace, clock
        self._told: deque[float] = deque()

    def tell(self, lease: Object) -> None:
        """Of the member with this Lease, once, whoever else tells it as well. More than 20 in an hour are left out."""
        now = self._clock()
        while self._told and now - self._told[0] >= _HOUR:
            self._told.popleft()
        if len(self._told) >= _MOST:
            return
        self._told.append(now)
        process = read_process(lease)
        if process is None or not is_name(process.pod):
            metadata, name = lease["metadata"], process.description if process is not None else "a process"
            regarding: Object = {"apiVersion": f"{LEASES.group}/{LEASES.version}", "kind": LEASES.kind}
            regarding |= {key: metadata[key] for key in ("namespace", "name", "uid")}
            remedy = "See in its log why, and start it again"
        else:
            pod, name = f"{process.pod} -n {self._namespace}", process.description
            regarding = {"apiVersion": PODS.version, "kind": PODS.kind, "namespace": self._namespace}
            regarding |= {"name": process.pod} | ({"uid": process.pod_uid} if process.pod_uid else {})
            remedy = (
                f"If no other one takes its place (`kubectl get pods -n {self._namespace}`), or this comes again, see "
                f"why: `kubectl describe pod {pod}`, and `kubectl logs {pod} --previous`"
            )
        self._events.warn_once(
            regarding,
            Reason.REPLICA_LOST,
            f"{name} is lost: it ended without a word, or cannot reach the API server. The other replicas take over "
            f"its requests, and place no order twice. {remedy}",
            lease["metadata"]["uid"],
        )
