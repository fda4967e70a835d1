"""What tests do to a cluster as its user: with kubectl, and by waiting for what they want to see."""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from devcluster import ControlPlane
from tests.support.reader import CannotRead, Reader

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


_BUSY = 4
"""By how much a machine may be slower on which others work too."""


class Kubectl:
    """kubectl in one namespace; a command that fails raises with what kubectl said.

    The plain forms of `apply`, `annotate`, `label`, `patch` and `delete` go over the one connection of the tests, with
    the requests that kubectl makes; all else, and whatever is refused there, is done by kubectl itself.
    """

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        if stdin is None and self._is_done(*arguments):
            return ""
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

    def _is_done(self, verb: str = "", kind: str = "", name: str = "", *rest: str) -> bool:
        """Whether this was a plain form, and the API server did as it was told."""
        if not kind or not name or kind.startswith("-") or name.startswith("-") or {*"/,"} & {*kind, *name}:
            return False
        match verb, rest:
            case "delete", ():
                return self._delete(kind, name)
            case "patch", ("--type=merge", "-p", text):
                return self._merge(kind, name, json.loads(text), "kubectl-patch")
            case "annotate" | "label", _ if not any(each.startswith("-") for each in rest if each != "--overwrite"):
                return self._mark(verb, kind, name, [each for each in rest if each != "--overwrite"])
        return False

    def _merge(self, kind: str, name: str, patch: Mapping[str, Any], manager: str) -> bool:
        return reader(self.cluster).merge(kind, name, self.namespace, patch, manager) == 200

    def _mark(self, verb: str, kind: str, name: str, changes: Sequence[str]) -> bool:
        field = "annotations" if verb == "annotate" else "labels"
        had = self.get(kind, name).get("metadata", {}).get(field, {})
        marks: dict[str, str | None] = {
            key.removesuffix("-") if not is_set else key: value if is_set else None
            for key, is_set, value in (each.partition("=") for each in changes)
        }
        if any(key in had for key in marks):
            return False  # kubectl knows whether that is meant
        return self._merge(kind, name, {"metadata": {field: marks}}, f"kubectl-{verb}")

    def _delete(self, kind: str, name: str) -> bool:
        """And wait until it is gone, as kubectl does."""
        uid = self.get(kind, name).get("metadata", {}).get("uid")
        if uid is None or reader(self.cluster).delete(kind, name, self.namespace) not in (200, 202):
            return False
        wait_until(f"{kind} {name} is gone", lambda: self.get(kind, name).get("metadata", {}).get("uid") != uid, 300)
        return True

    def apply(self, *objects: Mapping[str, Any]) -> None:
        known = [obj for obj in objects if not self._is_new(obj)]
        if known:
            self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": known}))

    def create(self, *objects: Mapping[str, Any]) -> None:
        """`kubectl create`."""
        failed = [obj for obj in objects if self._made(obj, "kubectl-create") != 201]
        if failed:
            self("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": failed}))

    def _is_new(self, obj: Mapping[str, Any]) -> bool:
        metadata: dict[str, Any] = {"annotations": {}, "namespace": self.namespace, **obj["metadata"]}
        last = json.dumps({**obj, "metadata": metadata}, separators=(",", ":"), sort_keys=True) + "\n"
        annotations = {**metadata["annotations"], "kubectl.kubernetes.io/last-applied-configuration": last}
        applied = {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
        return self._made(applied, "kubectl-client-side-apply") == 201

    def _made(self, obj: Mapping[str, Any], manager: str) -> int:
        try:
            return reader(self.cluster).create(obj, self.namespace, manager)
        except CannotRead:
            return 0

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
        """All of `names` (none: all there are) have the condition Ready, of the generation that they are at."""

        def missing() -> list[str]:
            there = [self.get(kind, name) for name in names] if names else self.list(kind)
            if not there:
                return ["any"]
            wanted = names or [obj["metadata"]["name"] for obj in there]
            return [name for name, obj in zip(wanted, there, strict=True) if not _is_ready(obj)]

        try:
            wait_until(f"{kind} {' '.join(names) or 'all'} Ready", lambda: not missing(), seconds)
        except AssertionError as error:
            said = [f"{name}: {self.get(kind, name).get('status')}" for name in missing()]
            raise AssertionError(f"{error}: {'; '.join(said)[:3000]}") from None


def _is_ready(obj: Mapping[str, Any]) -> bool:
    found = condition(obj, "Ready")
    seen = found.get("observedGeneration", obj.get("status", {}).get("observedGeneration", 0))
    return found.get("status") == "True" and int(seen) >= int(obj["metadata"].get("generation", 0))


def wait_until(what: str, probe: Callable[[], T | None], seconds: float = 30) -> T:
    """Poll `probe` until it returns something true, and return that; after the deadline the test fails.

    seconds: what is more than enough on a machine that has nothing else to do.
    """
    seconds *= _BUSY
    deadline, pause = time.monotonic() + seconds, 0.05
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.2, 0.25)  # many tests wait at a time, and each look costs them all


def condition(obj: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The condition of type `kind`; an empty dict if there is none."""
    conditions: Sequence[dict[str, Any]] = obj.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})
