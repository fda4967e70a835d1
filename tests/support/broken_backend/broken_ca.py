"""A backend with a mistake in each of its methods, which its issuer picks one of."""

import asyncio
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Retryable


class BrokenCa(Backend):
    traits = Traits()

    def __init__(self, broken: str) -> None:
        if broken == "traits":
            self.traits = Traits(abandons=True)
        self._broken = broken

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> "BrokenCa":
        if config["broken"] == "create":
            raise KeyError("secret=hunter2")
        return SlowCa("") if config["broken"] == "slow" else cls(config["broken"])

    async def check(self) -> Health:
        if self._broken == "check":
            raise ZeroDivisionError("secret=hunter2")
        if self._broken == "down":
            raise Retryable(f"HTTP status 503: busy, request {uuid.uuid4()}")
        if self._broken == "refused":
            raise Misconfigured(f"HTTP status 401: no such user, request {uuid.uuid4()}")
        if self._broken == "health":
            return Health("is well", "", "2030-01-01")  # type: ignore[arg-type]
        if self._broken == "task":
            await _cancelled()
        if self._broken == "exit":
            await asyncio.wait_for(_exit(), 10)
        return Health("is well")

    async def submit(self, order: Order) -> Issued | Pending:
        if self._broken == "order":
            await _cancelled()
        if self._broken == "pem":
            return Issued(["-----BEGIN CERTIFICATE-----"])  # type: ignore[list-item]
        if self._broken == "pending":
            return Pending("1", timedelta(seconds=1), "later")
        raise AttributeError("secret=hunter2")


async def _exit() -> None:
    """As a program does that is used as a library."""
    raise SystemExit("secret=hunter2")


async def _cancelled() -> None:
    """Wait for what many wait for, and somebody has given up."""
    shared = asyncio.create_task(asyncio.sleep(60))
    shared.cancel()
    await shared


class SlowCa(BrokenCa):
    """It is well, and takes its time."""

    traits = Traits(costs=True)

    async def submit(self, order: Order) -> Issued | Pending:
        return Pending("1", timedelta(seconds=12), "later")

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)
