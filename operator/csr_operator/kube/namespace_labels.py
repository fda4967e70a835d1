"""The labels of namespaces, for the selectors of policies: asked for, and not watched, so that a Role is enough."""

import asyncio
from collections.abc import Mapping

from .client import Kube

_LIFE = 5.0
"""Seconds for which an answer is good: many requests of a namespace are often looked at together."""


class NamespaceLabels:
    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def of(self, namespace: str) -> Mapping[str, str]:
        """At most some seconds old."""
        now = asyncio.get_running_loop().time()
        found = self._known.get(namespace)
        if found is None or now >= found[0]:
            self._known = {name: kept for name, kept in self._known.items() if now < kept[0]}
            found = self._known[namespace] = (now + _LIFE, await self._kube.namespace_labels(namespace))
        return found[1]
