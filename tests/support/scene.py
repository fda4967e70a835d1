"""What the longer tests do again and again: many requests made at once, and waited for."""

from collections.abc import Callable
from typing import Any

from kubernetes import watch

from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import request, root_and_ca
from tests.support.operator import OperatorProcess


def make_ca(kubectl: Kubectl) -> None:
    """An issuer `ca`, Ready, that signs with the key pair in a Secret."""
    kubectl.apply(*root_and_ca())
    kubectl.wait_ready("ca", kind="issuer", seconds=60)


def create(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    """One call of the API for each, where `apply` takes two."""
    kubectl.create(*objects)


def wait_all_ready(kubectl: Kubectl, count: int, seconds: float = 120) -> list[dict[str, Any]]:
    """Wait until there are `count` requests and all are Ready; returns them."""

    def ready() -> list[dict[str, Any]] | None:
        requests = kubectl.list("certificaterequests")
        good = [r for r in requests if condition(r, "Ready").get("status") == "True"]
        return good if len(good) == len(requests) == count else None

    return wait_until(f"all {count} requests are Ready", ready, seconds)


def idle(operator: OperatorProcess, kubectl: Kubectl, marker: str) -> None:
    """Wait until the operator has been through all it had to look at: what is asked last is done last."""
    create(kubectl, request(marker, "ca"))
    kubectl.wait_ready(marker, seconds=60)
    wait_until("the queue is empty", lambda: operator.metric("csr_operator_queue_depth") == 0)


def heal(kubectl: Kubectl, secret: str) -> None:
    """Delete a Secret, and wait for another in its place."""

    def uid() -> str:
        return str(kubectl.get("secret", secret).get("metadata", {}).get("uid", ""))

    old = uid()
    kubectl("delete", "secret", secret)
    wait_until(f"Secret {secret} is there again", lambda: uid() not in ("", old), seconds=90)


def await_objects(
    listing: Callable[..., Any], namespace: str, count: int, version: str = "0", seconds: float = 60
) -> None:
    """Return at once when `count` objects have been written since the resource version, which `kubectl` cannot do.

    listing: how the official client lists them.
    """
    watching = watch.Watch()  # type: ignore[no-untyped-call]
    events = watching.stream(  # type: ignore[no-untyped-call]
        listing, namespace, resource_version=version, timeout_seconds=int(seconds)
    )
    seen = set()
    for event in events:
        seen.add(event["object"].metadata.name)
        if len(seen) == count:
            return
    raise AssertionError(f"{len(seen)} of {count} objects were written within {seconds:.0f} s")


def await_changes(core: Any, namespace: str, count: int, version: str, seconds: float = 60) -> None:
    """Return at once when `count` changes of Secrets were made since the resource version."""
    events = watch.Watch().stream(  # type: ignore[no-untyped-call]
        core.list_namespaced_secret, namespace, resource_version=version, timeout_seconds=int(seconds)
    )
    for number, _ in enumerate(events, start=1):
        if number == count:
            return
    raise AssertionError(f"there were no {count} changes within {seconds:.0f} s")
