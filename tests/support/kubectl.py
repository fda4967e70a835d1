"""What tests do to a cluster as its user: with kubectl, and by waiting for what they want to see."""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from devcluster import ControlPlane
from tests.support.reader import Reader

T = TypeVar("T")

_SELECTORS = argparse.ArgumentParser(allow_abbrev=False)
_SELECTORS.add_argument("-l", "--selector", default="")
_SELECTORS.add_argument("--field-selector", default="")
_SELECTORS.add_argument("--namespace", default="")

_readers: dict[ControlPlane, Reader] = {}


def reader(cluster: ControlPlane) -> Reader:
    """The one of this control plane."""
    if cluster not in _readers:
        _readers[cluster] = Reader(cluster)
    return _readers[cluster]


def close_readers() -> None:
    """At the end of all tests."""
    while _readers:
        _readers.popitem()[1].close()


class Kubectl:
    """kubectl in one namespace; a command that fails raises with what kubectl said."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [self.cluster.kubectl, "--namespace", self.namespace, *arguments],
            env=dict(self.cluster.env),
            input=stdin,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object, as kubectl shows it; an empty dict if there is none."""
        return reader(self.cluster).get(kind, name, self.namespace)

    def list(self, kinds: str, *selectors: str) -> list[dict[str, Any]]:
        """What the namespace has of these kinds. selectors: `-l`, `--field-selector` and `--namespace` of kubectl."""
        options = _SELECTORS.parse_args(selectors)
        namespace = options.namespace or self.namespace
        return [
            obj
            for kind in kinds.split(",")
            for obj in reader(self.cluster).list(kind, namespace, options.selector, options.field_selector)
        ]

    def wait_ready(self, *names: str, kind: str = "certificaterequest", seconds: float = 30) -> None:
        """All of `names` (none: all there are) have the condition Ready."""
        chosen = names or ("--all",)
        self("wait", "--for=condition=Ready", f"--timeout={seconds}s", kind, *chosen)


def wait_until(what: str, probe: Callable[[], T | None], seconds: float = 30) -> T:
    """Poll `probe` until it returns something true, and return that; after the deadline the test fails."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


def condition(obj: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The condition of type `kind`; an empty dict if there is none."""
    conditions: Sequence[dict[str, Any]] = obj.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
