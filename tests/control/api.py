"""An API server, as far as the parts of the controller need one that are looked at without a cluster."""

import copy
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import MANAGER
from csr_operator.api.times import format_time
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object, secret_data
from csr_operator.kube.resources import SECRETS
from csr_operator.kube.transport import JSON, MERGE, STRATEGIC, Transport


class Api:
    """Holds objects by their path, with the rules for writes that the operator counts on.

    reads: the paths that were read, oldest first. refuses: the status that a write to an object of this path is
    answered with.
    """

    def __init__(self, now: datetime) -> None:
        self._now = format_time(now)
        self._version = 100
        self.objects: dict[str, Object] = {}
        self.events: list[Object] = []
        self.reads: list[str] = []
        self.refuses: dict[str, int] = {}

    @property
    def kube(self) -> Kube:
        """All calls of it."""
        return Kube.over(cast(Transport, self))

    def put(self, path: str, obj: Mapping[str, Any]) -> Object:
        """As somebody else creates it, or changes it."""
        known = self.objects.get(path, {"metadata": {"uid": str(uuid4()), "creationTimestamp": self._now}})
        stored = copy.deepcopy(dict(obj))
        stored["metadata"] = {**known["metadata"], **stored["metadata"], "resourceVersion": self._next()}
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def secret(self, key: SecretKey) -> Object | None:
        """As it is; None if there is none."""
        return self.objects.get(SECRETS.path(*key))

    def data(self, key: SecretKey) -> dict[str, bytes]:
        """Of a Secret that has to be there."""
        return secret_data(self.objects[SECRETS.path(*key)])

    def told(self, reason: str) -> list[str]:
        """The notes of the events with this reason, oldest first."""
        return [event["note"] for event in self.events if event["reason"] == reason]

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    async def call(
        self,
        verb: str,
        method: str,
        resource: str,
        path: str,
        *,
        body: Any = None,
        accept: str = JSON,
        **_: Any,
    ) -> Object:
        if resource == "events":
            self.events.append(body)
            return {}
        if method == "GET":
            self.reads.append(path)
        there = self._there(path)
        if method == "DELETE":
            if body["preconditions"]["uid"] != there["metadata"]["uid"]:
                raise KubeError(409, "Conflict", "another one")
            there["metadata"].setdefault("deletionTimestamp", self._now)
            self._collect(path)
        return copy.deepcopy(there) if accept == JSON else {"metadata": copy.deepcopy(there["metadata"])}

    async def apply(self, resource: str, path: str, body: Object) -> Object:
        known, metadata = self.objects.get(path), body["metadata"]
        if known is None and "uid" in metadata:
            raise KubeError(409, "Conflict", "it is gone")
        if known is not None:
            self._check(path, known, metadata)
        self._refuse(path)
        kept = known["metadata"] if known is not None else {"uid": str(uuid4()), "creationTimestamp": self._now}
        owned = {
            "f:data": {f"f:{name}": {} for name in body["data"]},
            "f:metadata": {
                f"f:{part}": {f"f:{name}": {} for name in metadata[part]} for part in ("labels", "annotations")
            },
        }
        managers = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": owned}]
        applied = copy.deepcopy(body)
        applied["metadata"] = {**kept, **metadata, "managedFields": managers, "resourceVersion": self._next()}
        self.objects[path] = applied
        return {"metadata": copy.deepcopy(applied["metadata"])}

    async def patch(
        self, resource: str, path: str, body: Object, content_type: str = MERGE, accept: str = "metadata"
    ) -> Object:
        where = path.removesuffix("/status")
        there, patch = self._there(where), json.loads(json.dumps(body))
        self._check(where, there, patch["metadata"])
        self._refuse(path)
        metadata, changes = there["metadata"], patch.pop("metadata")
        gone = changes.pop("$deleteFromPrimitiveList/finalizers", None)
        if content_type == STRATEGIC:
            finalizers = [*metadata.get("finalizers", ()), *changes.pop("finalizers", ())]
            changes["finalizers"] = [each for each in dict.fromkeys(finalizers) if each not in (gone or ())]
        annotations = {**metadata.get("annotations", {}), **changes.pop("annotations", {})}
        metadata["annotations"] = {name: text for name, text in annotations.items() if text is not None}
        metadata |= {**changes, "resourceVersion": self._next()}
        there |= patch
        self._collect(where)
        return {"metadata": copy.deepcopy(metadata)}

    def _there(self, path: str) -> Object:
        if path not in self.objects:
            raise KubeError(404, "NotFound", f"{path} is not there")
        return self.objects[path]

    def _check(self, path: str, known: Object, wanted: Mapping[str, Any]) -> None:
        for field in ("uid", "resourceVersion"):
            if wanted.get(field, known["metadata"][field]) != known["metadata"][field]:
                raise KubeError(409, "Conflict", f"{path} has another {field}")

    def _refuse(self, path: str) -> None:
        if path in self.refuses:
            raise KubeError(self.refuses[path], "", "refused")

    def _collect(self, path: str) -> None:
        metadata = self.objects[path]["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            del self.objects[path]
