"""What is known of an account is asked again when it may have changed, and not more often."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from csr_operator.plugin.fresh import Fresh

HOUR = timedelta(hours=1)


class Account:
    """At a CA: what it says is the credentials that it is asked with, and how often it was."""

    def __init__(self) -> None:
        self.now, self.key, self.asked, self.fails = datetime(2026, 3, 1, tzinfo=UTC), "first", 0, False
        self.fresh = Fresh(self.look, self.read, lambda: self.now)

    async def look(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError("out of order")
        return f"{self.key}, {self.asked}"

    async def read(self) -> str:
        return self.key


async def test_it_is_good_for_an_hour() -> None:
    account = Account()
    for passed, said in ((0, "first, 1"), (59, "first, 1"), (1, "first, 2"), (59, "first, 2")):
        account.now += timedelta(minutes=passed)
        assert await account.fresh.found() == said


async def test_other_credentials_are_asked_with_at_once() -> None:
    account = Account()
    await account.fresh.found()
    account.key = "second"
    assert await account.fresh.found() == "second, 2"


async def test_what_was_forgotten_is_asked_again() -> None:
    account = Account()
    await account.fresh.found()
    account.fresh.forget()
    assert account.fresh.known is None
    assert await account.fresh.found() == "first, 2"


async def test_a_clock_that_was_set_back_keeps_nothing() -> None:
    account = Account()
    await account.fresh.found()
    account.now -= 100 * HOUR
    assert await account.fresh.found() == "first, 2"


async def test_one_look_serves_all_who_ask_meanwhile() -> None:
    account = Account()
    assert await asyncio.gather(*(account.fresh.found() for _ in range(20))) == ["first, 1"] * 20


async def test_what_cannot_be_asked_now_is_known_still() -> None:
    account = Account()
    await account.fresh.found()
    account.now += HOUR
    account.fails = True
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await account.fresh.found()
    assert (account.fresh.known, account.asked) == ("first, 1", 3)
