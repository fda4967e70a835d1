"""A namespace with an operator in it, and what a user looks at there."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.names import unique
from tests.support.operator import OperatorProcess

T = TypeVar("T")

REQUEST = "certificaterequest"


def new_namespace(cluster: ControlPlane) -> str:
    """The name of an empty namespace that nobody else uses."""
    name = unique("test")
    Kubectl(cluster, "").create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def decoded(secret: dict[str, Any]) -> dict[str, str]:
    """`data` of a Secret, as text."""
    return {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}


def moment(text: str) -> datetime:
    """RFC 3339 as Kubernetes writes it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def base64_text(text: str) -> str:
    """As `data` of a Secret has it."""
    return base64.b64encode(text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Site:
    kubectl: Kubectl
    operator: OperatorProcess

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.kubectl.get(REQUEST, name).get("status", {})
        return status

    def data(self, secret: str) -> dict[str, str]:
        return decoded(self.kubectl.get("secret", secret))

    def wait(self, what: str, probe: Callable[[], T | None], seconds: float = 30) -> T:
        """As `wait_until`; a failure shows how the operator's log ends."""
        try:
            return wait_until(what, probe, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.operator.log.read_text()[-3000:]}") from None

    def wait_status(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait until these fields of the request's status have these values; returns the status."""

        def probe() -> dict[str, Any] | None:
            status = self.status(name)
            return status if all(status.get(field) == value for field, value in wanted.items()) else None

        return wait_until(f"{name} has the status {wanted}", probe)

    def wait_condition(self, name: str, kind: str, reason: str, object_kind: str = REQUEST) -> dict[str, Any]:
        """Wait until the condition `kind` is there with this reason; returns it."""

        def probe() -> dict[str, Any] | None:
            found = condition(self.kubectl.get(object_kind, name), kind)
            return found if found.get("reason") == reason else None

        return self.wait(f"{object_kind} {name} has the condition {kind} because of {reason}", probe)

    def metric(self, metric: str, name: str) -> float | None:
        """The sample of a request; None if there is none."""
        labels = f'{metric}{{name="{name}",namespace="{self.kubectl.namespace}"}} '
        lines = [line for line in self.operator.get("/metrics").splitlines() if line.startswith(labels)]
        return float(lines[0].removeprefix(labels)) if lines else None

    def warnings(self, name: str) -> list[dict[str, Any]]:
        """The Warning events of a request, oldest first."""
        events = self.kubectl.list("events.events.k8s.io", f"--field-selector=type=Warning,regarding.name={name}")
        return sorted(events, key=lambda event: str(event["eventTime"]))

    def settle(self) -> None:
        """Wait until the operator has been through all that it has to look at: what is asked last is done last."""
        name = unique("marker")
        self.kubectl.apply(issuer("marker"), request(name, "marker"))
        self.kubectl.wait_ready(name)
        wait_until("the queue is empty", lambda: self.operator.metric("csr_operator_queue_depth") == 0)

    @contextmanager
    def operator_away(self) -> Iterator[None]:
        """While this lasts the operator does not run."""
        self.operator.stop()
        try:
            yield
        finally:
            self.operator.start()


@contextmanager
def running_site(
    cluster: ControlPlane, operator_credentials: Path, folder: Path, *, strict: bool = False
) -> Iterator[Site]:
    """A new namespace with an operator, in which the issuer `ca` signs. `folder`: for the operator's log.

    strict: as of OperatorProcess.
    """
    kubectl = Kubectl(cluster, new_namespace(cluster))
    arguments = ("--namespace", kubectl.namespace, "--rotation-spread", "0.1")
    with OperatorProcess(operator_credentials, folder / "operator.log", *arguments, strict=strict) as operator:
        kubectl.apply(*root_and_ca())
        kubectl.wait_ready("ca", kind="issuer")
        yield Site(kubectl, operator)
