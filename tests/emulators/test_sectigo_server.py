"""The emulation of Sectigo judges by the published schema, and forgets nothing."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.plugin import http
from tests.emulators.sectigo_server import CUSTOMER, LOGIN, ORGANIZATION, PASSWORD, PUBLIC, SectigoServer

HEADERS = {"login": LOGIN, "password": PASSWORD, "customerUri": CUSTOMER}
NAME = x509.Name.from_rfc4514_string("CN=www.example.com")
CSR = x509.CertificateSigningRequestBuilder(NAME).sign(generate_private_key(SECP256R1()), SHA256())
ENROLMENT = {
    "orgId": ORGANIZATION,
    "csr": CSR.public_bytes(Encoding.PEM).decode(),
    "certType": PUBLIC,
    "term": 90,
    "subjAltNames": "www.example.com,example.com",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SectigoServer]:
    with SectigoServer(tmp_path / "journal") as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with http.http_session() as session:
        yield session


async def call(
    session: aiohttp.ClientSession, server: SectigoServer, method: str, path: str, body: Any = None, **query: str
) -> tuple[int, Any]:
    """Status, and the JSON of the answer; None without one."""
    trusted = http.trust(server.ca_bundle, "caBundle")
    url = f"{server.url}/api/ssl/v1{path}"
    answer = await http.call(session, trusted, method, url, headers=HEADERS, body=body, query=query)
    return answer.status, answer.json() if answer.body else None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"colour": "blue"}, -1002),
        ({"term": "90"}, -1002),
        ({"orgId": None}, -1002),
        ({"comments": "x" * 1025}, -1601),
        ({"csr": ""}, -1601),
        ({"dcvMode": "PIGEON"}, -1601),
        ({"customFields": [{"name": "a"}]}, -1002),
        ({"csr": "nonsense"}, -10),
        ({"term": 91}, -36),
        ({"certType": 7}, -111),
        ({"orgId": 7}, -1023),
        ({"subjAltNames": "www.example.invalid"}, -1010),
    ],
)
async def test_an_order_that_is_not_as_documented_is_refused(
    session: aiohttp.ClientSession, server: SectigoServer, change: dict[str, Any], code: int
) -> None:
    status, answer = await call(session, server, "POST", "/enroll", {**ENROLMENT, **change})
    assert (status, answer["code"]) == (400, code)
    assert server.orders == {}


@pytest.mark.parametrize("query", [{"size": "201"}, {"status": "Pending"}, {"state": "Issued"}])
async def test_a_query_that_is_not_as_documented_is_refused(
    session: aiohttp.ClientSession, server: SectigoServer, query: dict[str, str]
) -> None:
    status, answer = await call(session, server, "GET", "", **query)
    assert (status, answer["code"]) == (400, -1601 if "state" not in query else -1002)


async def test_orders_are_there_after_a_restart(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    with SectigoServer(tmp_path / "journal") as server:
        status, placed = await call(session, server, "POST", "/enroll", ENROLMENT)
        assert status == 200
    with SectigoServer(tmp_path / "journal") as server:
        _, details = await call(session, server, "GET", f"/{placed['sslId']}")
        assert (details["status"], details["commonName"]) == ("Issued", "www.example.com")
        _, listed = await call(session, server, "GET", "", commonName="www.example.com")
        assert [one["sslId"] for one in listed] == [placed["sslId"]]


async def test_what_becomes_of_an_order_is_decided_once(session: aiohttp.ClientSession, server: SectigoServer) -> None:
    server.steps = (("Requested", 0),)
    _, placed = await call(session, server, "POST", "/enroll", ENROLMENT)
    number = placed["sslId"]
    assert (await call(session, server, "GET", f"/collect/{number}", format="x509"))[1]["code"] == -1400
    assert (await call(session, server, "POST", f"/decline/{number}", {"message": "no"}))[0] == 204
    assert (await call(session, server, "POST", f"/approve/{number}", {"message": "yes"}))[1]["code"] == -1112
    refused = await call(session, server, "POST", f"/revoke/{number}", {"reasonCode": 4, "reason": "x"})
    assert refused[1]["code"] == -102
