"""Secrets: what is read, written and deleted of them."""

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import REVOCATION_FINALIZER

from .bodies import is_deletion
from .errors import KubeError
from .objects import Object
from .resources import SECRETS
from .transport import JSON, METADATA, STRATEGIC, Transport


class Secrets:
    """The calls; all raise KubeError and Unreachable."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, key: SecretKey) -> Object | None:
        """None if there is none."""
        return await self._get(key, JSON)

    async def get_metadata(self, key: SecretKey) -> Object | None:
        """None if there is none. Its data stays where it is."""
        return await self._get(key, METADATA)

    async def _get(self, key: SecretKey, accept: str) -> Object | None:
        try:
            return await self._transport.call("get", "GET", "secrets", _path(key), accept=accept)
        except KubeError as error:
            if error.is_not_found:
                return None
            raise

    async def apply(self, key: SecretKey, body: Object, *, new: bool) -> Object:
        """Server-side apply, which takes over what others changed of the operator's fields.

        new: there must be no Secret of that name yet; one that is there, whosever it is, is a 409. Returns the
        metadata only.
        """
        if new:
            # A version that no object can have (etcd counts from 2) fails on any that exists, and on no other.
            body = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        return await self._transport.apply("secrets", _path(key), body)

    async def annotate(self, secret: Object, annotation: str, value: str | None) -> Object:
        """Set, or (None) remove, one annotation; 409 if `secret` changed since it was read.

        Returns the metadata only.
        """
        metadata = secret["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": {annotation: value}}}
        return await self._transport.patch("secrets", _path(SecretKey(metadata["namespace"], metadata["name"])), body)

    async def delete(self, key: SecretKey, uid: str) -> None:
        """Only the one with `uid`; one that is gone, or another, is fine."""
        try:
            body = {"preconditions": {"uid": uid}}
            await self._transport.call("delete", "DELETE", "secrets", _path(key), body=body, expects=is_deletion)
        except KubeError as error:
            if error.status != 409 and not error.is_not_found:
                raise

    async def remove_finalizers(self, key: SecretKey, uid: str) -> None:
        """All of them; one that is gone, or another of its name, is fine."""
        try:
            await self._transport.patch("secrets", _path(key), {"metadata": {"uid": uid, "finalizers": None}})
        except KubeError as error:
            if error.status not in (409, 422) and not error.is_not_found:
                raise

    async def guard(self, key: SecretKey, uid: str, *, guarded: bool) -> Object:
        """Add REVOCATION_FINALIZER to the one with `uid`, or take it from it, and no other. Returns the metadata only.

        https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
        """
        field = "finalizers" if guarded else "$deleteFromPrimitiveList/finalizers"
        body = {"metadata": {"uid": uid, field: [REVOCATION_FINALIZER]}}
        return await self._transport.patch("secrets", _path(key), body, STRATEGIC)


def _path(key: SecretKey) -> str:
    return SECRETS.path(key.namespace, key.name)
