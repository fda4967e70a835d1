"""Namespaces: their labels, for the selectors of policies, and whether they are being deleted.

They are asked for, and not watched, so that a Role is enough.
"""

import asyncio
from collections.abc import Mapping

from .errors import KubeError
from .objects import Object
from .resources import NAMESPACES
from .transport import METADATA, Transport

_LIFE = 5.0
"""Seconds for which labels are good: many requests of a namespace are often looked at together."""


class Namespaces:
    """The calls; all raise KubeError and Unreachable."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def get_labels(self, namespace: str) -> Mapping[str, str]:
        """At most some seconds old."""
        now = asyncio.get_running_loop().time()
        entry = self._known.get(namespace)
        if entry is None or now >= entry[0]:
            self._known = {name: kept for name, kept in self._known.items() if now < kept[0]}
            labels = dict((await self._get(namespace))["metadata"].get("labels") or {})
            entry = self._known[namespace] = (now + _LIFE, labels)
        return entry[1]

    async def is_going(self, namespace: str) -> bool:
        """It is being deleted, with all that is in it; False if the operator may not know."""
        try:
            answer = await self._get(namespace)
        except KubeError as error:
            if error.status != 403 and not error.is_not_found:
                raise
            return error.is_not_found
        return "deletionTimestamp" in answer["metadata"]

    async def _get(self, namespace: str) -> Object:
        return await self._transport.call(
            "get", "GET", NAMESPACES.plural, NAMESPACES.path(name=namespace), accept=METADATA
        )
