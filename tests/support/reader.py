"""Reads and writes objects of a control plane over one connection, with the requests that kubectl makes.

A process of kubectl for each of them costs more than all else that the tests do.
"""

import base64
import http.client
import json
import select
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from devcluster import ControlPlane

_PATIENCE = 60.0
"""Seconds in which an API server that has just begun may ask to come again."""

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class CannotRead(AssertionError):
    """What the API server said, or that it said nothing."""


class Reader:
    """As cluster-admin. Kinds are named as kubectl takes them: `secret`, `secrets`, `csreq`, `events.events.k8s.io`.

    Of two groups that have a name, that of csr-operator is meant, and then the core.
    """

    def __init__(self, cluster: ControlPlane) -> None:
        config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._tls = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
        pair = Path(cluster.kubeconfig).parent / "reader.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        self._tls.load_cert_chain(pair)
        self._port = int(server["server"].rpartition(":")[2])
        self._mine, self._connections = threading.local(), list[http.client.HTTPSConnection]()
        self._kinds: dict[str, tuple[str, str, bool]] = {}

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """Without `metadata.managedFields`, as kubectl shows it; an empty dict if there is none."""
        found = self._read(f"{self._path(kind, namespace)}/{quote(name, safe='')}")
        return {} if found is None else _shown(found)

    def list(self, kind: str, namespace: str, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        """What a namespace has of a kind, or (empty) all of them."""
        path = self._path(kind, namespace)
        query = {"labelSelector": labels, "fieldSelector": fields}
        found = self._read(f"{path}?{urlencode({k: v for k, v in query.items() if v})}")
        if found is None:
            raise CannotRead(f"there is nothing at {path}")
        version, of = found["apiVersion"], found["kind"].removesuffix("List")
        return [_shown({"apiVersion": version, "kind": of, **item}) for item in found["items"]]

    def create(self, obj: Mapping[str, Any], namespace: str, manager: str) -> int:
        """The HTTP status: 201, or what the API server refused it with. manager: of the fields."""
        kind = f"{obj['kind']}.{obj['apiVersion'].rpartition('/')[0]}".rstrip(".")
        query = urlencode({"fieldManager": manager, "fieldValidation": "Strict"})
        path = f"{self._path(kind, obj['metadata'].get('namespace', namespace))}?{query}"
        return self._exchange("POST", path, body=json.dumps(obj).encode(), kind="application/json")[0]

    def merge(self, kind: str, name: str, namespace: str, patch: Mapping[str, Any], manager: str) -> int:
        """A merge patch (RFC 7386); returns the HTTP status."""
        path = f"{self._path(kind, namespace)}/{quote(name, safe='')}?{urlencode({'fieldManager': manager})}"
        body = json.dumps(patch).encode()
        return self._exchange("PATCH", path, body=body, kind="application/merge-patch+json")[0]

    def delete(self, kind: str, name: str, namespace: str) -> int:
        """Asks for it, with what it owns deleted in the background; returns the HTTP status."""
        body = json.dumps({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}).encode()
        path = f"{self._path(kind, namespace)}/{quote(name, safe='')}"
        return self._exchange("DELETE", path, body=body, kind="application/json")[0]

    def connect(self) -> http.client.HTTPSConnection:
        """A connection of one's own, as cluster-admin, for a watch that goes on."""
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._tls)

    def close(self) -> None:
        """The connections of all threads."""
        for connection in self._connections:
            connection.close()

    def _path(self, kind: str, namespace: str) -> str:
        if kind.lower() not in self._kinds:
            self._kinds = self._discovered()
        if kind.lower() not in self._kinds:
            raise CannotRead(f"there is no kind {kind}")
        base, plural, namespaced = self._kinds[kind.lower()]
        return f"{base}/namespaces/{namespace}/{plural}" if namespaced and namespace else f"{base}/{plural}"

    def _discovered(self) -> dict[str, tuple[str, str, bool]]:
        found: dict[str, tuple[str, str, bool]] = {}
        groups = [group for path in ("/apis", "/api") for group in (self._read(path, _DISCOVERY) or {})["items"]]
        groups.sort(key=lambda group: (group["metadata"].get("name", "") == "csr-operator.dev", not group["metadata"]))
        for group in groups:
            name = group["metadata"].get("name", "")
            for version in reversed(group["versions"]):
                base = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                for resource in version.get("resources", ()):
                    if "responseKind" not in resource:
                        continue
                    plural = resource["resource"]
                    entry = (base, plural, resource["scope"] == "Namespaced")
                    names = (plural, resource["singularResource"], resource["responseKind"]["kind"].lower())
                    for each in (*names, *resource.get("shortNames", ())):
                        found[each] = found[f"{each}.{name}"] = entry
        return found

    def _read(self, path: str, accept: str = "application/json") -> dict[str, Any] | None:
        status, body = self._exchange("GET", path, accept=accept)
        deadline = time.monotonic() + _PATIENCE
        while status == 429 and time.monotonic() < deadline:  # "storage is (re)initializing": it began a moment ago
            time.sleep(1)  # as it asks for, and kubectl does
            status, body = self._exchange("GET", path, accept=accept)
        if status == 404 and b'"kind":"Status"' in body:
            return None
        if status != 200:
            raise CannotRead(f"GET {path}: {status} {body.decode(errors='replace')[:500]}")
        return dict(json.loads(body))

    def _exchange(
        self, method: str, path: str, *, accept: str = "application/json", body: bytes | None = None, kind: str = ""
    ) -> tuple[int, bytes]:
        """Status and body. What writes is made again only where no connection came about."""
        headers = {"Accept": accept, "User-Agent": "kubectl/tests"} | ({"Content-Type": kind} if kind else {})
        for again in (True, False):
            connection = getattr(self._mine, "connection", None)
            if connection is None or (body is not None and _is_closed(connection)):
                connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._tls, timeout=30)
                self._mine.connection = connection
                self._connections.append(connection)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._mine.connection = None
                if not again or body is not None:
                    raise CannotRead(f"{method} {path}: {error!r}") from None
        raise AssertionError("it was tried again more than once")


def _is_closed(connection: http.client.HTTPSConnection) -> bool:
    """Whether the other side has ended it, or said something that nobody asked for."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def _shown(obj: dict[str, Any]) -> dict[str, Any]:
    obj["metadata"].pop("managedFields", None)
    return obj
