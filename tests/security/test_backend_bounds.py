"""Whatever a backend says, a third party's too, is bounded when it leaves it; so is what a server says to a backend."""

import asyncio
import json
import ssl
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from csr_operator.issuance.backend_calls import GuardedBackend
from csr_operator.issuance.backend_tasks import in_backend, make_task
from csr_operator.issuance.failures import Failed
from csr_operator.pki.verify import Rules
from csr_operator.plugin import http
from csr_operator.plugin.backend import Issued, Pending, Renewal, Traits
from csr_operator.plugin.errors import BackendError, Lapsed, Misconfigured, Rejected, Retryable
from csr_operator.plugin.schedule import bounded_pause
from tests.backends.digicert.support import order
from tests.emulators import sectigo_world
from tests.security.vendor_scene import cert_central
from tests.support.contract import Reply
from tests.support.signing import VendorCa

DAY = timedelta(days=1)
UGLY = "not\x1b[31m now\r\n2026-01-01 ERROR forged \N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 100_000
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Odd:
    """A backend of a third party, that answers or raises what it is made with."""

    traits = Traits(costs=True, revokes=True, suggests_renewal=True, knows_roots=True, abandons=True)

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def submit(self, order: Any) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    async def poll(self, order: Any, handle: str) -> Any:
        return await self.submit(order)

    async def suggest_renewal(self, reference: str) -> Any:
        return self._answer

    async def roots_of(self, leaf: Any) -> Any:
        return self._answer

    async def revoke(self, certificate: Any, reason: Any) -> Any:
        return self._answer

    async def abandon(self, key: Any, csr: Any, handle: Any) -> Any:
        return self._answer


def ca(answer: Any) -> GuardedBackend:
    return GuardedBackend("Issuer/odd", "odd", Odd(answer), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Retryable, Lapsed, Rejected, Misconfigured, BackendError])
async def test_the_text_of_an_error_is_one_short_line(kind: type[BackendError]) -> None:
    with pytest.raises(Failed) as failed:
        await ca(kind(UGLY)).ask(order(), "")
    assert failed.value.message.isprintable()
    assert failed.value.message.startswith("not [31m now 2026-01-01 ERROR forged xxx")
    assert len(failed.value.message) == 500


async def test_what_a_backend_should_not_raise_is_not_shown() -> None:
    with pytest.raises(Failed) as failed:
        await ca(RuntimeError("PASSWORD")).ask(order(), "")
    assert "PASSWORD" not in failed.value.message


UNRAISED = [
    asyncio.CancelledError("PASSWORD"),
    GeneratorExit("PASSWORD"),
    SystemExit("PASSWORD"),
    KeyboardInterrupt("PASSWORD"),
    BaseExceptionGroup("PASSWORD", [SystemExit("PASSWORD")]),
]


@pytest.mark.parametrize("error", UNRAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("handle", ["", "handle"], ids=["submit", "poll"])
async def test_what_is_no_error_of_a_call_is_one_of_the_backend(
    error: BaseException, handle: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Failed) as failed:
        await ca(error).ask(order(), handle)
    assert failed.value.reason == "IssuerUnavailable"
    assert f"see {type(error).__name__} in the log" in failed.value.message
    assert f"{type(error).__name__} at test_backend_bounds.py:" in caplog.text
    assert "PASSWORD" not in caplog.text + failed.value.message


async def _exits() -> None:
    raise SystemExit("PASSWORD")


async def _in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_exits())


async def _in_a_task_of_a_task() -> None:
    await asyncio.create_task(_in_a_group(), name="first")


@pytest.mark.parametrize(
    "waited",
    [lambda: asyncio.wait_for(_exits(), 60), lambda: asyncio.gather(_exits()), _in_a_group, _in_a_task_of_a_task],
    ids=["wait_for", "gather", "group", "task of a task"],
)
async def test_a_task_of_the_backend_does_not_end_the_operator(
    waited: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Which each of them would: asyncio lets it out of the event loop, whoever awaits it."""

    class Exiting(Odd):
        async def submit(self, order: Any) -> Any:
            return await waited()

    loop = asyncio.get_running_loop()
    loop.set_task_factory(make_task)
    try:
        with pytest.raises(Failed, match="failed in a way that its author did not expect"):
            await GuardedBackend("Issuer/odd", "odd", Exiting(None), None).ask(order(), "")  # type: ignore[arg-type]
        await asyncio.sleep(0)
    finally:
        loop.set_task_factory(None)
    assert "PASSWORD" not in caplog.text


async def test_a_task_of_the_operator_is_as_it_was() -> None:
    coroutine = asyncio.sleep(0)
    task = make_task(asyncio.get_running_loop(), coroutine)
    assert task.get_coro() is coroutine
    await task


async def test_a_task_of_the_backend_may_be_cancelled_before_it_begins() -> None:
    """Without a complaint that something was never awaited, which would be an error here."""
    loop = asyncio.get_running_loop()
    with in_backend():
        task = make_task(loop, asyncio.sleep(60), name="sleeps")
        other = make_task(loop, asyncio.sleep(0, "slept"), context=copy_context())
    assert (task.get_name(), await other) == ("sleeps", "slept")
    unbegun = make_task(loop, asyncio.sleep(60), context=copy_context())
    for each in (task, unbegun):
        each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await each


async def test_the_end_of_the_operator_is_none_of_the_backend() -> None:
    class Hanging(Odd):
        async def submit(self, order: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

    asked = asyncio.Event()
    asking = asyncio.create_task(
        GuardedBackend("Issuer/odd", "odd", Hanging(None), None).ask(order(), "")  # type: ignore[arg-type]
    )
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_what_is_raised_before_anything_is_awaited_is_told_as_well() -> None:
    class Plain(Odd):
        def submit(self, order: Any) -> Any:
            raise KeyError("PASSWORD")

    with pytest.raises(Failed, match="see KeyError in the log"):
        await GuardedBackend("Issuer/odd", "odd", Plain(None), None).ask(order(), "")  # type: ignore[arg-type]


NO_TEXT = Retryable(None)  # type: ignore[arg-type]


async def test_a_limit_of_the_backend_is_not_told_as_one_of_the_operator() -> None:
    with pytest.raises(Failed) as failed:
        await ca(TimeoutError("private")).ask(order(), "")
    assert failed.value.reason == "IssuerUnavailable"
    assert failed.value.message == "the CA did not answer in time"


class Wordless(Rejected):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [Rejected(""), Rejected(), Rejected(None), Retryable("\0"), NO_TEXT, Lapsed(" "), Wordless("no")],
    ids=repr,
)
async def test_an_error_without_a_text_has_a_message_nevertheless(error: BackendError) -> None:
    with pytest.raises(Failed) as failed:
        await ca(error).ask(order(), "")
    assert failed.value.message == "the CA gave no reason"


async def forgotten() -> None:
    """What revokes, and is not awaited."""


@pytest.mark.parametrize("answer", [False, True, "revoked", 0, forgotten], ids=["no", "yes", "text", "0", "await"])
async def test_a_revocation_that_answers_something_was_perhaps_none(answer: Any) -> None:
    """As where an `await` was forgotten: the certificate stays valid."""
    if answer is forgotten:
        answer = forgotten()
    with pytest.raises(Failed, match=r"failed in a way that its author did not expect: see TypeError in the log"):
        await ca(answer).revoke(None, None)  # type: ignore[arg-type]


async def test_what_is_done_answers_nothing() -> None:
    await ca(None).revoke(None, None)  # type: ignore[arg-type]
    await ca(None).abandon("key", None, "handle")  # type: ignore[arg-type]
    with pytest.raises(Failed, match=r"see TypeError in the log"):
        await ca(False).abandon("key", None, "handle")  # type: ignore[arg-type]


class Attributeless(Retryable):
    """Of its attributes there is none to be had."""

    def __init__(self) -> None:
        Exception.__init__(self, "the CA is busy")

    def __getattribute__(self, name: str) -> Any:
        if name in ("after", "unplaced"):
            raise ZeroDivisionError
        return super().__getattribute__(name)


class NoTime(timedelta):
    def total_seconds(self) -> float:
        raise ZeroDivisionError


class Abrupt(Rejected):
    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "reason", "message", "after"),
    [
        (Attributeless(), "IssuerUnavailable", "the CA is busy", timedelta(0)),
        (Retryable("busy", NoTime(hours=1)), "IssuerUnavailable", "busy", timedelta(hours=1)),
        (Abrupt("no"), "Rejected", "the CA gave no reason", timedelta(0)),
    ],
    ids=["attributes", "time", "text"],
)
async def test_an_error_is_told_whatever_becomes_of_whoever_reads_it(
    error: BackendError, reason: str, message: str, after: timedelta
) -> None:
    with pytest.raises(Failed) as failed:
        await ca(error).ask(order(), "")
    assert (failed.value.reason, failed.value.message, failed.value.after) == (reason, message, after)
    assert not failed.value.unplaced


async def test_the_name_of_an_error_is_one_short_line() -> None:
    kind = type("Odd\n2026-01-01 ERROR forged" + "x" * 10_000, (Exception,), {})
    with pytest.raises(Failed) as failed:
        await ca(kind()).ask(order(), "")
    assert failed.value.message.isprintable()
    assert len(failed.value.message) < 600


class Number(str):
    """What is text, and is written in another way by an f-string, as members of an Enum are."""

    __slots__ = ()

    def __str__(self) -> str:
        return "Number.FIRST"

    __format__ = lambda self, _: str(self)  # noqa: E731


FIRST = Number("order-1")


async def test_what_is_kept_is_plain_text() -> None:
    """It is authenticated by its characters, and by others after it was read back."""
    placed = await ca(Pending(FIRST, DAY, FIRST)).ask(order(), "")
    assert isinstance(placed, Pending)
    assert (type(placed.handle), f"{placed.handle}") == (str, "order-1")
    assert placed.message == "order-1"
    issued = await ca(Issued([], reference=FIRST)).ask(order(), "")
    assert isinstance(issued, Issued)
    assert (type(issued.reference), f"{issued.reference}") == (str, "order-1")


class Understated(str):
    """It says that it is short."""

    __slots__ = ()

    def __len__(self) -> int:
        return 1

    def encode(self, *_: Any) -> bytes:
        return b"1"


@pytest.mark.parametrize(
    "answer", [Pending(Understated("x" * 5000), DAY, ""), Issued([], reference=Understated("x" * 5000))]
)
async def test_what_is_too_long_is_measured_and_not_asked(answer: Any) -> None:
    with pytest.raises(Failed, match=r"backend odd a") as failed:
        await ca(answer).ask(order(), "")
    assert failed.value.reason == "AnswerMismatch"


class Endless(Sequence[Any]):
    """It says that it has one entry."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: Any) -> Any:
        return None


@pytest.mark.parametrize("answer", [Issued(Endless()), Issued([], Endless())], ids=["certificates", "roots"])
async def test_a_list_without_end_is_counted_to_its_bound(answer: Any) -> None:
    with pytest.raises(Failed, match=r"backend odd gave more than (20 certificates|100 roots)"):
        await ca(answer).ask(order(), "")


class LocalTime(datetime):
    """As libraries have their own, which are of use to nobody else."""


async def test_times_are_plain_ones() -> None:
    start = LocalTime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    renewal = await ca(Renewal(start, start + DAY, DAY)).suggest_renewal("reference")
    assert renewal is not None
    assert {type(renewal.start), type(renewal.end)} == {datetime}
    assert (renewal.start, renewal.end) == (NOW, NOW + DAY)
    assert renewal.start.tzinfo is UTC


ANY_ISSUED: Any = Issued
ANY_PENDING: Any = Pending
ANY_RENEWAL: Any = Renewal
ANY_RULES: Any = Rules


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "answer",
        ANY_ISSUED("abc"),
        ANY_ISSUED("-----BEGIN CERTIFICATE-----"),
        ANY_ISSUED([1, 2, 3]),
        ANY_ISSUED(["-----BEGIN"]),
        ANY_ISSUED(None),
        ANY_ISSUED({}),
        ANY_ISSUED([], roots=[1]),
        ANY_ISSUED([], roots=None),
        ANY_ISSUED([], any_duration="no"),
        ANY_ISSUED([], rules=None),
        ANY_ISSUED([], rules={}),
        ANY_ISSUED([], rules=ANY_RULES(subject="EXACT")),
        ANY_ISSUED([], rules=ANY_RULES(added_usages="server auth")),
        ANY_ISSUED([], rules=ANY_RULES(added_usages=frozenset({1}))),
        ANY_ISSUED([], rules=ANY_RULES(clock_skew=300)),
        ANY_ISSUED([], rules=ANY_RULES(clock_skew=timedelta.max)),
        ANY_ISSUED([], reference=None),
        ANY_ISSUED([], reference=7),
        ANY_ISSUED([], renewal="tomorrow"),
        ANY_ISSUED([], renewal=ANY_RENEWAL("2026-03-01", "2026-03-02", DAY)),
        ANY_ISSUED([], renewal=ANY_RENEWAL(NOW, NOW + DAY, "a day")),
        ANY_ISSUED([], renewal=ANY_RENEWAL(NOW, NOW + DAY, DAY, None)),
        ANY_PENDING(None, DAY, "later"),
        ANY_PENDING(b"handle", DAY, "later"),
        ANY_PENDING("\ud800", DAY, "later"),
        ANY_PENDING("handle", None, "later"),
        ANY_PENDING("handle", "soon", "later"),
        ANY_PENDING("handle", DAY, None),
        ANY_PENDING("handle", DAY, "later", "yes"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("handle", ["", "handle"], ids=["submit", "poll"])
async def test_an_answer_of_other_types_is_told_as_a_mistake_of_the_backend(answer: Any, handle: str) -> None:
    with pytest.raises(Failed, match=r"^backend odd failed in a way that its author did not expect") as failed:
        await ca(answer).ask(order(), handle)
    assert failed.value.reason == "IssuerUnavailable"


@pytest.mark.parametrize("renewal", ["tomorrow", ANY_RENEWAL("now", NOW, DAY), ANY_RENEWAL(NOW, NOW + DAY, None)])
async def test_a_renewal_of_other_types_is_told_as_one(renewal: Any) -> None:
    with pytest.raises(Failed, match="failed in a way that its author did not expect"):
        await ca(renewal).suggest_renewal("reference")


@pytest.mark.parametrize("roots", ["abc", [1], 7])
async def test_roots_of_other_types_are_told_as_one(roots: Any) -> None:
    with pytest.raises(Failed, match="failed in a way that its author did not expect"):
        await ca(roots).roots_of(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reference", "why"),
    [("\ud800", "cannot be printed"), ("a\nb", "cannot be printed"), ("x" * 1025, "more than 1024")],
)
async def test_what_is_wrong_with_a_reference_is_told(reference: str, why: str) -> None:
    with pytest.raises(Failed, match=why):
        await ca(Issued([], reference=reference)).ask(order(), "")


async def test_an_order_that_waits_for_nothing_in_particular_says_so() -> None:
    answer = await ca(Pending("handle", DAY, "\n")).ask(order(), "")
    assert isinstance(answer, Pending)
    assert answer.message == "the CA does not say what it waits for"


@pytest.mark.parametrize("after", [timedelta.max, float("inf"), 1e308, 10**400, 99999999999.0])
async def test_nobody_is_waited_for_longer_than_a_day(after: Any) -> None:
    with pytest.raises(Failed) as failed:
        await ca(Retryable("later", after)).ask(order(), "")
    assert failed.value.after == DAY


@given(st.timedeltas() | st.floats() | st.integers() | st.sampled_from(["1", None, True]))
def test_a_wait_is_nothing_or_from_a_second_to_a_day(asked: Any) -> None:
    pause = bounded_pause(asked)
    assert pause == timedelta(0) or timedelta(seconds=1) <= pause <= DAY


@pytest.mark.parametrize(
    ("asked", "got"),
    [(timedelta.max, DAY), (timedelta.min, timedelta(seconds=1)), (timedelta(0), timedelta(seconds=1)), (DAY, DAY)],
)
async def test_the_next_look_is_in_a_second_to_a_day(asked: timedelta, got: timedelta) -> None:
    answer = await ca(Pending("handle", asked, UGLY)).ask(order(), "handle")
    assert isinstance(answer, Pending)
    assert answer.poll_after == got
    assert len(answer.message) == 500


async def test_an_order_that_was_just_placed_may_be_looked_at_at_once() -> None:
    at_once = Pending("handle", timedelta(0), "placed")
    assert await ca(at_once).ask(order(), "") == at_once
    without = await ca(replace(at_once, handle="")).ask(order(), "")  # or `submit` would be called without end
    assert isinstance(without, Pending)
    assert without.poll_after == timedelta(seconds=1)


@pytest.mark.parametrize(
    "answer",
    [
        Pending("x" * 4097, DAY, ""),
        Pending("\N{EURO SIGN}" * 1400, DAY, ""),
        Issued([None] * 21),  # type: ignore[list-item]
        Issued([], [None] * 101),  # type: ignore[list-item]
        Issued([], reference="x" * 1025),
        Issued([], reference="one\ntwo"),
    ],
)
async def test_what_is_too_much_to_keep_is_refused(answer: Any) -> None:
    with pytest.raises(Failed, match="backend odd ") as failed:
        await ca(answer).ask(order(), "")
    assert (failed.value.reason, failed.value.permanent) == ("AnswerMismatch", True)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW, NOW),
        (NOW, NOW - DAY),
        (NOW.replace(tzinfo=None), NOW.replace(tzinfo=None) + DAY),
        (datetime.min.replace(tzinfo=UTC), NOW),
        (NOW, datetime.max.replace(tzinfo=UTC)),
    ],
)
async def test_a_time_for_a_renewal_that_makes_no_sense_counts_for_nothing(start: datetime, end: datetime) -> None:
    with pytest.raises(Failed, match="suggests a renewal"):
        await ca(Renewal(start, end, DAY)).suggest_renewal("reference")
    answer = await ca(Issued([], renewal=Renewal(start, end, DAY))).ask(order(), "")
    assert isinstance(answer, Issued)
    assert answer.renewal is None


async def test_when_to_ask_again_is_clamped() -> None:
    renewal = await ca(Renewal(NOW, NOW + DAY, timedelta(0))).suggest_renewal("reference")
    assert renewal is not None
    assert renewal.ask_after == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("-5", 0),
        ("nan", 0),
        ("inf", 0),
        ("²", 0),
        ("0", 0),
        ("7", 7),
        ("9" * 8000, 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Mon, 99 Foo 99999999999999999999 99:99:99 +9999999999", 0),
    ],
)
def test_retry_after_is_clamped(text: str, seconds: float) -> None:
    assert http.Answer(503, {"Retry-After": text}, b"").retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"a":' * 300_000, b"1" * 1_000_000, b"\xff", b""])
def test_json_without_end_is_none(body: bytes) -> None:
    with pytest.raises(Retryable, match="not JSON"):
        http.Answer(200, {}, body).json()


async def test_an_answer_without_end_is_not_read() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    app = web.Application()
    app.router.add_get("/", endless)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with http.http_session() as session:
            with pytest.raises(Retryable, match="is not read"):
                await http.call(session, ssl.create_default_context(), "GET", site.name + "/")
    finally:
        await runner.cleanup()


async def test_what_is_no_http_shows_no_credential_that_was_sent() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        token = head.partition("Bearer ")[2].split()[0]
        writer.write(f"HTTP/1.1 200 OK\r\nno header: {token}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server, http.http_session() as session:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(Retryable, match=r"127.0.0.1: .*no header: \*\*\*") as caught:
            await http.call(
                session, ssl.create_default_context(), "GET", url, headers={"Authorization": "Bearer hunter2"}
            )
    assert "hunter2" not in str(caught.value)


def test_a_client_certificate_needs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the Deployment has a root that is read-only, and no volume."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "there is none"))
    pair, context = sectigo_world.member(VendorCa.make("Members"), "ada"), ssl.create_default_context()
    http.identify(context, pair["tls.crt"], pair["tls.key"], "Secret account")
    with pytest.raises(Misconfigured, match=r"needs a certificate in tls\.crt"):
        http.identify(context, pair["tls.crt"], b"no key", "Secret account")


def page(members: str, **entry: Any) -> Reply:
    return Reply(200, {members: [{**entry, "id": n, "order_id": n} for n in range(1, 101)], "page": {"total": 10**9}})


async def test_a_list_without_end_is_not_read_at_cert_central(tmp_path: Path) -> None:
    async with cert_central(tmp_path) as scene:
        scene.server.fail(page("organizations", name="x" * 1000), "GET", "/organization$", times=10**6)
        with pytest.raises(Retryable, match="lists more under organization than is read"):
            await scene.backend(organizationId=5000).check()
        assert scene.server.count("GET", "/organization$") <= 50
        scene.server.plan = ()
        answer = await scene.backend().submit(order())
        assert isinstance(answer, Pending)
        scene.server.fail(page("orders", status="pending"), "GET", "/order/certificate", times=10**6)
        with pytest.raises(Retryable, match="lists more under order/certificate than is read"):
            await scene.backend().poll(order(), answer.handle)
        assert scene.server.count("GET", "/order/certificate$") <= 50


@pytest.mark.parametrize("before", [0, 485, 590, 8180])
@pytest.mark.parametrize("encoded", [str, partial(quote, safe=""), repr], ids=["as it is", "in a URL", "printed"])
async def test_no_part_of_a_password_that_a_vendor_echoes_is_shown(
    tmp_path: Path, before: int, encoded: Callable[[str], str]
) -> None:
    key = "SECRET-/'KEY'\\\\-0123456789-abcdefghij"
    async with cert_central(tmp_path) as scene:
        scene.world.secrets["digicert"] = {"api-key": key.encode()}
        scene.server.fail(Reply(400, {"errors": [{"code": "x", "message": "w" * before + encoded(key)}]}), times=9)
        with pytest.raises(Rejected) as refused:
            await scene.backend().check()
        assert "SECRET" not in str(refused.value)


async def test_a_password_that_a_vendor_echoes_is_not_shown(tmp_path: Path) -> None:
    key = 'SECRET-"KEY"\\'
    async with cert_central(tmp_path) as scene:
        scene.world.secrets["digicert"] = {"api-key": key.encode()}
        said = {"errors": [{"code": "x", "message": f"Bad header: {json.dumps(key)}"}]}
        scene.server.fail(Reply(400, said), times=9)
        with pytest.raises(Rejected) as refused:
            await scene.backend().check()
        assert "SECRET" not in str(refused.value)
        assert "***" in str(refused.value)
