"""Every version of the Secrets of a namespace that a reader could see."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl, wait_until
from tests.support.names import unique


@dataclass(frozen=True, slots=True)
class Version:
    """event: ADDED, MODIFIED or DELETED, with the object as it was then."""

    event: str
    secret: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.secret["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class SecretWatch:
    kubectl: Kubectl
    output: Path

    def versions(self) -> list[Version]:
        """All until now, the oldest first."""
        self._catch_up()
        return [version for version in self.seen() if not version.name.startswith("marker-")]

    def _catch_up(self) -> None:
        """Wait until what is written now is seen."""
        marker = unique("marker")
        self.kubectl.create(opaque(marker))
        wait_until(f"Secret {marker} is seen", lambda: any(version.name == marker for version in self.seen()))
        self.kubectl("delete", "secret", marker)

    def seen(self) -> list[Version]:
        """Until now, and of those of a moment ago not all."""
        versions, position, decoder, text = [], 0, json.JSONDecoder(), self.output.read_text()
        while position < len(text):
            try:
                event, end = decoder.raw_decode(text, position)
            except ValueError:
                break  # the rest of it is still to come
            versions.append(Version(event["type"], event["object"]))
            position = end + 1  # a line feed follows
        return versions


@contextmanager
def watching_secrets(kubectl: Kubectl, output: Path) -> Iterator[SecretWatch]:
    """By kubectl, from outside the operator. output: a file for what it says."""
    command = ["get", "secrets", "--watch", "--output-watch-events", "-o", "json"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [kubectl.cluster.kubectl, "--namespace", kubectl.namespace, *command],
            env=dict(kubectl.cluster.env),
            stdout=file,
        )
    try:
        watch = SecretWatch(kubectl, output)
        watch.versions()
        yield watch
        assert process.poll() is None, "the watch ended"
    finally:
        process.terminate()
        process.wait()
