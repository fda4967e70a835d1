"""The operator's own custom resources: CertificateRequests and issuers."""

from csr_operator.api.keys import ObjectKey
from csr_operator.api.names import is_name

from .errors import KubeError
from .objects import Object
from .resources import WATCHED
from .transport import Transport


class CustomObjects:
    """The calls; all raise KubeError and Unreachable."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, key: ObjectKey) -> Object | None:
        """One as it is at this moment; None if there is none."""
        if not is_name(key.name):
            return None  # as an owner reference may have it, which leads elsewhere
        try:
            return await self._transport.call("get", "GET", WATCHED[key.kind].plural, _path(key))
        except KubeError as error:
            if error.is_not_found:
                return None
            raise

    async def patch_status(self, key: ObjectKey, resource_version: str, status: Object) -> Object:
        """A merge patch that is refused with 409 if the object changed since `resource_version`.

        Returns the metadata only.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return await self._transport.patch(f"{WATCHED[key.kind].plural}/status", f"{_path(key)}/status", body)

    async def patch_finalizers(self, key: ObjectKey, resource_version: str, finalizers: list[str]) -> Object:
        """Refused with 409 if the object changed since `resource_version`. Returns the metadata only."""
        body = {"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}}
        return await self._transport.patch(WATCHED[key.kind].plural, _path(key), body)


def _path(key: ObjectKey) -> str:
    return WATCHED[key.kind].path(key.namespace, key.name)
