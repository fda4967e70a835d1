"""What `kubectl get --watch` shows."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.kubectl import Kubectl, wait_until


@contextmanager
def watching(kubectl: Kubectl, kind: str, output: Path) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Gives a function: every state of the object of this name seen until now, oldest first.

    The watch has begun when this returns; there has to be an object of `kind`. `output`: a file for kubectl's output.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            [kubectl.cluster.kubectl, "--namespace", kubectl.namespace, "get", kind, "--watch", "-o", "json"],
            env=dict(kubectl.cluster.env),
            stdout=file,
        )

    def seen(name: str) -> list[dict[str, Any]]:
        return [obj for obj in _objects(output.read_text()) if obj["metadata"]["name"] == name]

    try:
        wait_until(f"kubectl watches {kind}", lambda: _objects(output.read_text()))
        yield seen
    finally:
        process.terminate()
        process.wait()


def _objects(text: str) -> list[dict[str, Any]]:
    found, position, decoder = [], 0, json.JSONDecoder()
    while position < len(text):
        try:
            obj, end = decoder.raw_decode(text, position)
        except ValueError:
            break  # the rest of it is still to come
        found.append(obj)
        position = end + 1  # a line feed follows
    return found
