"""Suites that run against the contract server of a vendor, and with `make test-vendor` against an account there.

Each vendor has a file of its own, with its environment variables in its docstring. Without them its account is skipped,
which is told; the contract server is tried in any case. An account orders certificates, which cost what they cost.
"""

import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

import pytest

from csr_operator.plugin.backend import Backend, Issued, Order, Pending

T = TypeVar("T", bound=Backend)

SWITCH = "CSR_OPERATOR_VENDOR_TESTS"


@dataclass(frozen=True, slots=True)
class Account(Generic[T]):
    """make: a backend for the account, with these settings besides its own. domain: that it may have certificates for.

    wait: until so much time has passed, where the account is. patience: how long an order may take.
    """

    make: Callable[..., T]
    domain: str
    wait: Callable[[timedelta], Awaitable[None]]
    patience: timedelta

    def host(self) -> str:
        """That nobody has asked a certificate for."""
        return f"csr-operator-{secrets.token_hex(6)}.{self.domain}"


def variables(prefix: str, *required: str) -> Mapping[str, str]:
    """Environment variables without their prefix; skips the test if it is not wanted, or some are missing."""
    if not os.environ.get(SWITCH):
        pytest.skip("an account is tried by `make test-vendor` only")
    if missing := [f"{prefix}{name}" for name in required if not os.environ.get(f"{prefix}{name}")]:
        pytest.skip(f"no account: set {' and '.join(missing)}")
    return {name.removeprefix(prefix): value for name, value in os.environ.items() if name.startswith(prefix) and value}


async def until_issued(account: Account[Any], ca: Backend, order: Order, answer: Issued | Pending) -> Issued:
    """Look at the order when it says, until it is issued; fails after the account's patience, with what it said."""
    waited = timedelta(0)
    while isinstance(answer, Pending):
        assert waited < account.patience, answer.message
        pause = max(answer.poll_after, timedelta(seconds=1))
        await account.wait(pause)
        waited += pause
        answer = await ca.poll(order, answer.handle)
    return answer
