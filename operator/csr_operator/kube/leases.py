"""Leases in the operator's own namespace (https://kubernetes.io/docs/concepts/architecture/leases/)."""

from .bodies import is_deletion
from .errors import KubeError
from .objects import Object
from .resources import LEASES
from .transport import JSON, Transport


class Leases:
    """The calls; all raise KubeError and Unreachable. No answer is one of a cache."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self._transport, self.namespace = transport, namespace

    async def list(self, selector: str) -> list[Object]:
        """Those that the label selector names, all as they are at one moment."""
        leases: list[Object] = []
        path, query = LEASES.path(self.namespace), {"labelSelector": selector}
        async for page in self._transport.pages("leases", path, query, JSON):
            leases += page["items"] or ()
        return leases

    async def create(self, body: Object) -> Object:
        """409 if there is one of its name."""
        return await self._transport.call("create", "POST", "leases", LEASES.path(self.namespace), body=body)

    async def replace(self, body: Object) -> Object:
        """409 unless it is still as it was when it was read: `metadata.resourceVersion` says so."""
        path = LEASES.path(self.namespace, body["metadata"]["name"])
        return await self._transport.call("update", "PUT", "leases", path, body=body)

    async def delete(self, lease: Object) -> bool:
        """Only as it was read. False if it has changed since; True also if it is gone."""
        metadata = lease["metadata"]
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        path = LEASES.path(self.namespace, metadata["name"])
        try:
            await self._transport.call(
                "delete", "DELETE", "leases", path, body={"preconditions": preconditions}, expects=is_deletion
            )
        except KubeError as error:
            if error.status == 409:
                return False
            if not error.is_not_found:
                raise
        return True
