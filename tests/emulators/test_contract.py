"""The servers that stand in for vendors fail as asked, keep what they were told, and judge by the schema."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.verification import PolicyBuilder, Store

from csr_operator.plugin import http
from csr_operator.plugin.errors import Retryable
from tests.support.contract import Call, ContractServer, Damage, Refusal, Reply, schema_error


class Counter(ContractServer):
    """POST counts; GET says how far it is. Whoever sends a body is refused."""

    def answer(self, call: Call) -> Reply:
        if call.body is not None:
            raise Refusal(Reply(400, {"error": "no body"}))
        if call.method == "POST":
            self.journal["count"] = self.journal.get("count", 0) + 1
        return Reply(body={"count": self.journal.get("count", 0)})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Counter]:
    with Counter(tmp_path / "journal") as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with http.http_session() as session:
        yield session


async def call(session: aiohttp.ClientSession, server: Counter, method: str, body: object = None) -> http.Answer:
    trusted = http.trust(server.ca_bundle, "caBundle")
    return await http.call(session, trusted, method, f"{server.url}/count", body=body)


async def test_it_keeps_what_it_was_told_over_a_restart(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    with Counter(tmp_path / "journal") as server:
        await call(session, server, "POST")
        server.stop()
        with pytest.raises(Retryable):
            await call(session, server, "POST")
        server.start()
        await call(session, server, "POST")
        ca = server.ca.root
    with Counter(tmp_path / "journal") as server:
        assert (await call(session, server, "GET")).json() == {"count": 2}
        assert server.ca.root == ca
        assert server.count("GET") == 1


@pytest.mark.parametrize("damage", [Damage.LOST, Damage.TRUNCATED])
async def test_an_answer_is_lost_after_the_work_was_done(
    session: aiohttp.ClientSession, server: Counter, damage: Damage
) -> None:
    server.fail(damage, "POST", carried_out=True)
    with pytest.raises(Retryable):
        await call(session, server, "POST")
    assert (await call(session, server, "GET")).json() == {"count": 1}


async def test_an_answer_is_another_as_often_as_asked(session: aiohttp.ClientSession, server: Counter) -> None:
    server.fail(Reply(429, {}, {"Retry-After": "7"}), path="^/count$", times=2)
    answers = [await call(session, server, "POST") for _ in range(3)]
    assert [(answer.status, answer.retry_after.total_seconds()) for answer in answers] == [
        (429, 7.0),
        (429, 7.0),
        (200, 0.0),
    ]
    assert answers[-1].json() == {"count": 1}


async def test_it_hangs_until_it_goes_on(session: aiohttp.ClientSession, server: Counter) -> None:
    server.fail(Damage.HANGS, "GET")
    server.carried_out = lambda call: server.go_on()
    with pytest.raises(TimeoutError):
        async with session.get(
            server.url, ssl=http.trust(server.ca_bundle, "caBundle"), timeout=aiohttp.ClientTimeout(0.2)
        ):
            pass
    assert (await call(session, server, "POST")).status == 200


async def test_it_refuses(session: aiohttp.ClientSession, server: Counter) -> None:
    answer = await call(session, server, "POST", {"x": 1})
    assert (answer.status, answer.json()) == (400, {"error": "no body"})


def test_what_it_signs_is_good_for_tls(server: Counter) -> None:
    now = datetime.now(UTC)
    name = x509.DNSName("www.example.com")
    key = generate_private_key(SECP256R1()).public_key()
    leaf = server.ca.sign(key, x509.Name([]), [name], now, now + timedelta(days=90))
    verifier = PolicyBuilder().store(Store([server.ca.root])).build_server_verifier(name)
    assert verifier.verify(leaf, [server.ca.intermediate])[-1] == server.ca.root


def test_what_is_wrong_is_named() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    }
    assert schema_error(schema, {"names": ["x"]}) == ""
    assert schema_error(schema, {"names": [1]}).startswith("names.0: ")
    assert "'other' was unexpected" in schema_error(schema, {"other": 1})
