"""Domain control validation by TXT records that the operator writes, with the DNS providers of `dns01`."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from csr_operator.dns.providers import make_provider
from csr_operator.dns.resolve import make_resolver
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError

from .handle import txt_name

logger = logging.getLogger(__name__)

METHOD = "dns-txt-token"
_MOST_LEFT = 1000


class Dcv:
    """records: DigiCert's value, by domain. config: `spec.digicert.dns01`; raises Misconfigured."""

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        field = "spec.digicert.dns01"
        self._provider, self._resolver = make_provider(config, context, field), make_resolver(config, field)
        self._shown: dict[int, Mapping[str, str]] = {}
        self._left: list[tuple[int, Mapping[str, str]]] = []

    async def show(self, order: int, records: Mapping[str, str]) -> bool:
        """Have them in the DNS, once for each order while this process runs; whether they were not before.

        Raises BackendError.
        """
        if (before := self._shown.get(order)) == records:
            return False
        if before is not None:
            await self.clean_up(order, {})
        await asyncio.gather(*(self._provider.present(*target) for target in await self._targets(records)))
        self._shown[order] = records
        return True

    async def are_visible(self, records: Mapping[str, str]) -> bool:
        return not await self._resolver.propagated(await self._targets(records))

    async def remove(self, order: int, records: Mapping[str, str]) -> None:
        """These, and what this process has shown for the order. Raises BackendError."""
        await self._withdraw(records)
        await self._withdraw(self._shown.get(order, {}))
        self._shown.pop(order, None)

    async def clean_up(self, order: int, records: Mapping[str, str]) -> None:
        """As `remove`; what cannot be removed now delays no certificate, and is tried again by `retry`."""
        try:
            await self.remove(order, records)
        except BackendError as error:
            logger.warning("DigiCert order %s: its TXT records are not removed yet: %s", order, error)
            self._left += [(order, shown) for shown in (records, self._shown.pop(order, {})) if shown]
            del self._left[:-_MOST_LEFT]

    async def retry(self) -> None:
        for order, records in list(self._left):
            try:
                await self._withdraw(records)
            except BackendError as error:
                logger.warning("DigiCert order %s: its TXT records are not removed yet: %s", order, error)
                continue
            with suppress(ValueError):  # it had to make room
                self._left.remove((order, records))

    async def _withdraw(self, records: Mapping[str, str]) -> None:
        await asyncio.gather(*(self._provider.withdraw(*target) for target in await self._targets(records)))

    async def _targets(self, records: Mapping[str, str]) -> list[tuple[str, str]]:
        names = await asyncio.gather(*(self._resolver.target(txt_name(domain)) for domain in records))
        return list(dict.fromkeys(zip(names, records.values(), strict=True)))
