"""What becomes of the operator when one of its own tasks ends, which none of them should."""

import asyncio

import pytest

from csr_operator.manager import operator
from csr_operator.manager.operator import Operator
from csr_operator.settings import Settings


async def cancelled() -> None:
    """As of a task that it awaits, and that somebody else cancelled."""
    raise asyncio.CancelledError("hunter2")


@pytest.mark.parametrize("stopping", [False, True])
async def test_a_task_that_was_cancelled_ends_the_operator(
    stopping: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operator, "_leave", lambda: None)  # it would end this process
    running = Operator(Settings())
    if stopping:
        running._stop.set()

    running._begin("watch of Issuers", cancelled())
    await asyncio.wait(running._tasks)
    await asyncio.sleep(0)

    assert running._stop.is_set()
    assert str(running._failure) == ("None" if stopping else "watch of Issuers was cancelled")
    assert ("watch of Issuers ended" in caplog.text) is not stopping
    assert "hunter2" not in caplog.text
