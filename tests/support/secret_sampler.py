"""Every version of a namespace's Secrets that a reader could see, also where the API server goes and comes back."""

import contextlib
import http.client
import json
import socket
import threading
import time

from tests.crashes.secret_watch import Version
from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl, reader, wait_until
from tests.support.names import unique


class SecretSampler:
    """A context manager: a watch from outside the operator, which begins again when it breaks."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._versions: list[Version] = []
        self._connection: http.client.HTTPSConnection | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="secret-sampler", daemon=True)

    def __enter__(self) -> "SecretSampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def versions(self) -> list[Version]:
        """All until now, the oldest first; of those there were when the watch began again, some twice."""
        marker = unique("marker")
        self._kubectl.create(opaque(marker))
        wait_until(f"Secret {marker} is seen", lambda: any(version.name == marker for version in self._versions))
        self._kubectl("delete", "secret", marker)
        return [version for version in self._versions if not version.name.startswith("marker-")]

    def _sample(self) -> None:
        path = f"/api/v1/namespaces/{self._kubectl.namespace}/secrets?watch=true"
        while not self._over.is_set():
            self._connection = reader(self._kubectl.cluster).connect()
            try:
                self._connection.request("GET", path)
                answer = self._connection.getresponse()
                while not self._over.is_set() and (line := answer.readline()):
                    event = json.loads(line)
                    if event.get("type") in ("ADDED", "MODIFIED", "DELETED"):
                        self._versions.append(Version(event["type"], event["object"]))
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.05)  # the API server is away
            finally:
                self._connection.close()
