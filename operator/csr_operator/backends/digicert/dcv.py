"""Domain control validation by TXT records that the operator writes, with the DNS providers of `dns01`."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from csr_operator.backends.base import BackendError, Context
from csr_operator.dns.providers import provider
from csr_operator.dns.resolve import resolver

from .handle import txt_name

logger = logging.getLogger(__name__)

METHOD = "dns-txt-token"


class Dcv:
    """records: DigiCert's value, by domain. config: `spec.digicert.dns01`; raises Misconfigured."""

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        field = "spec.digicert.dns01"
        self._provider, self._resolver = provider(config, context, field), resolver(config, field)
        self._shown: set[int] = set()
        self._left: list[tuple[int, Mapping[str, str]]] = []

    async def show(self, order: int, records: Mapping[str, str]) -> bool:
        """Have them in the DNS, once for each order while this process runs; whether they were not before.

        Raises BackendError.
        """
        if order in self._shown:
            return False
        await asyncio.gather(*(self._provider.present(*one) for one in await self._targets(records)))
        self._shown.add(order)
        return True

    async def are_visible(self, records: Mapping[str, str]) -> bool:
        return not await self._resolver.propagated(await self._targets(records))

    async def remove(self, order: int, records: Mapping[str, str]) -> None:
        """Raises BackendError."""
        await asyncio.gather(*(self._provider.withdraw(*one) for one in await self._targets(records)))
        self._shown.discard(order)

    async def clean_up(self, order: int, records: Mapping[str, str]) -> None:
        """As `remove`; what cannot be removed now delays no certificate, and is tried again by `retry`."""
        try:
            await self.remove(order, records)
        except BackendError as error:
            logger.warning("DigiCert order %s: its TXT records are not removed yet: %s", order, error)
            self._left.append((order, records))

    async def retry(self) -> None:
        left, self._left = self._left, []
        for order, records in left:
            await self.clean_up(order, records)

    async def _targets(self, records: Mapping[str, str]) -> list[tuple[str, str]]:
        names = await asyncio.gather(*(self._resolver.target(txt_name(domain)) for domain in records))
        return list(dict.fromkeys(zip(names, records.values(), strict=True)))
