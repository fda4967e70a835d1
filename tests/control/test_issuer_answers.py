"""What a backend answers to a check, or does when it is created: whatever it is, its issuer says so, and no other."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from csr_operator.api.conditions import Condition
from csr_operator.backends import registry
from csr_operator.control.issuers import KnownIssuer
from csr_operator.metrics import SKIPPED_SAMPLES, RequestCollector
from csr_operator.plugin.backend import Backend, Health, Traits
from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable
from tests.control.parts import Parts, running

ANY_HEALTH: Any = Health
NOT_ERRORS = [asyncio.CancelledError, GeneratorExit, SystemExit, KeyboardInterrupt]


class Odd:
    """Answers a check with what it is made with, or raises it."""

    traits = Traits()

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def check(self) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running() as parts:
        yield parts


async def checked(parts: Parts, answer: Any) -> KnownIssuer:
    known = await parts.add_issuer("odd")
    known.backend = cast(Backend, Odd(answer))
    await parts.issuers.check(known.issuer.key)
    return known


def ready(known: KnownIssuer) -> Condition:
    return next(c for c in known.issuer.conditions if c.type == "Ready")


def rendered(parts: Parts) -> str:
    collected = CollectorRegistry()
    collected.register(RequestCollector(tuple, parts.issuers.samples))
    return generate_latest(collected).decode()


@pytest.mark.parametrize(
    "health",
    [
        None,
        "well",
        ANY_HEALTH(None),
        ANY_HEALTH(7),
        ANY_HEALTH("well", None),
        ANY_HEALTH("well", b"aa"),
        Health("well", "no hexadecimal"),
        Health("well", "aa"),
        Health("well", "AA:" * 19 + "AA"),  # a SHA-1
        ANY_HEALTH("well", "", "2030-01-01"),
        ANY_HEALTH("well", "", 1893456000),
        ANY_HEALTH("well", "", datetime(2030, 1, 1)),
        ANY_HEALTH("well", "", datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
    ],
    ids=repr,
)
async def test_an_answer_of_other_types_is_told_as_a_mistake_of_the_backend(parts: Parts, health: Any) -> None:
    known = await checked(parts, health)
    condition = ready(known)
    assert (condition.status, condition.reason) == ("False", "Unavailable")
    assert condition.message.startswith("backend selfSigned failed in a way that its author did not expect: see ")
    assert 'csr_operator_issuer_ready{kind="Issuer",name="odd",namespace="n"} 0.0' in rendered(parts)


@pytest.mark.parametrize("spelling", ["{0}", "{1}", "{2}"], ids=["with colons", "capitals", "small"])
async def test_a_fingerprint_is_compared_however_it_is_spelled(parts: Parts, spelling: str) -> None:
    """Else each certificate would be issued again and again, as if the CA had another key each time."""
    octets = bytes(range(32))
    known = await checked(
        parts, Health("is well", spelling.format(octets.hex(":").upper(), octets.hex().upper(), octets.hex()))
    )
    assert known.state is not None
    assert known.state.fingerprint == octets.hex(":").upper()


async def test_a_certificate_that_never_ends_is_fine(parts: Parts) -> None:
    """RFC 5280 has 99991231235959Z for one."""
    known = await checked(parts, Health("is well", "", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)))
    assert ready(known).status == "True"
    assert "csr_operator_issuer_ca_expiry_timestamp_seconds{" in rendered(parts)


async def test_an_issuer_that_has_no_sample_hides_no_other(parts: Parts) -> None:
    odd = await parts.add_issuer("odd")
    await parts.add_issuer("good")
    odd.not_after = cast(datetime, "2030-01-01")
    before = SKIPPED_SAMPLES._value.get()
    text = rendered(parts)
    assert 'csr_operator_issuer_ready{kind="Issuer",name="good",namespace="n"} 1.0' in text
    assert 'name="odd"' not in text
    assert SKIPPED_SAMPLES._value.get() == before + 1


@pytest.mark.parametrize("error", NOT_ERRORS)
async def test_what_is_no_error_of_a_check_is_one_of_the_backend(
    parts: Parts, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    condition = ready(await checked(parts, error("hunter2")))
    assert (condition.status, condition.reason) == ("False", "Unavailable")
    assert f"see {error.__name__} in the log" in condition.message
    assert f"{error.__name__} at test_issuer_answers.py:" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("error", NOT_ERRORS)
async def test_a_backend_that_cannot_be_created_is_no_trouble_of_others(
    parts: Parts, error: type[BaseException], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def create(*_: object) -> Backend:
        raise error("hunter2")

    with monkeypatch.context() as patched:
        patched.setattr(registry, "create", create)
        condition = ready(await parts.add_issuer("odd"))
    assert (condition.status, condition.reason) == ("False", "Misconfigured")
    assert f"see {error.__name__} in the log" in condition.message
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("error", [Misconfigured(""), Retryable("\n"), BackendError()], ids=repr)
async def test_an_error_without_a_text_has_a_message_nevertheless(parts: Parts, error: BackendError) -> None:
    assert ready(await checked(parts, error)).message == "the CA gave no reason"


async def test_the_end_of_the_operator_is_none_of_the_backend(parts: Parts) -> None:
    class Hanging(Odd):
        async def check(self) -> Any:
            begun.set()
            await asyncio.Event().wait()

    begun, known = asyncio.Event(), await parts.add_issuer("odd")
    known.backend = cast(Backend, Hanging(None))
    checking = asyncio.create_task(parts.issuers.check(known.issuer.key))
    await begun.wait()
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
