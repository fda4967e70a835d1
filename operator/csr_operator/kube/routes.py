"""What leads a CA's challenge to the operator, or only remembers it: Ingresses, HTTPRoutes and ConfigMaps."""

from collections.abc import AsyncIterator, Mapping

from .bodies import is_deletion
from .errors import KubeError
from .objects import Object
from .resources import ROUTES, RouteKind
from .transport import Transport


class Routes:
    """The calls; all raise KubeError and Unreachable."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def apply(self, kind: RouteKind, namespace: str, body: Object) -> None:
        """Server-side apply, which makes it if it is not there."""
        resource = ROUTES[kind]
        await self._transport.apply(resource.plural, resource.path(namespace, body["metadata"]["name"]), body)

    async def create(self, kind: RouteKind, namespace: str, body: Object) -> str:
        """Returns its resourceVersion. 409 if there is one of its name."""
        resource = ROUTES[kind]
        obj = await self._transport.call("create", "POST", resource.plural, resource.path(namespace), body=body)
        return str(obj["metadata"]["resourceVersion"])

    async def annotate(
        self, kind: RouteKind, namespace: str, name: str, resource_version: str, annotations: Mapping[str, str]
    ) -> str:
        """Returns its new resourceVersion. 409 if it is another one since `resource_version`, 404 if it is gone."""
        resource = ROUTES[kind]
        body = {"metadata": {"resourceVersion": resource_version, "annotations": dict(annotations)}}
        obj = await self._transport.patch(resource.plural, resource.path(namespace, name), body)
        return str(obj["metadata"]["resourceVersion"])

    async def delete(self, kind: RouteKind, namespace: str, name: str, resource_version: str = "") -> bool:
        """One that is gone is fine, and so is one that is another one since `resource_version`, which stays: then
        False."""
        body = {"preconditions": {"resourceVersion": resource_version}} if resource_version else None
        resource = ROUTES[kind]
        try:
            await self._transport.call(
                "delete", "DELETE", resource.plural, resource.path(namespace, name), body=body, expects=is_deletion
            )
        except KubeError as error:
            if error.status == 409:
                return False
            if error.status != 404:
                raise
        return True

    async def list(self, kind: RouteKind, namespace: str, selector: str) -> AsyncIterator[Object]:
        """The metadata of those with the label `selector`; none where the cluster does not know the kind."""
        resource, query = ROUTES[kind], {"labelSelector": selector}
        try:
            async for page in self._transport.pages(resource.plural, resource.path(namespace), query):
                for item in page["items"] or ():
                    yield item
        except KubeError as error:
            if error.status != 404:
                raise
