"""`lexicon` with PowerDNS, and what is refused before anything is asked."""

import asyncio
import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from csr_operator.dns.lexicon import PYTHON
from csr_operator.plugin.errors import Misconfigured, Retryable
from tests.dns.conftest import World
from tests.support.bind import Bind
from tests.support.powerdns import PowerDns, powerdns

pytestmark = pytest.mark.slow("starts PowerDNS")

ZONE = "example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerDns]:
    with powerdns(tmp_path_factory.mktemp("pdns")) as running:
        running.create(ZONE)
        yield running


def solver(service: PowerDns, **changes: Any) -> dict[str, Any]:
    config = {
        "provider": "powerdns",
        "zone": ZONE,
        "options": {"pdns_server": service.url},
        "credentialsSecretRef": {"name": "dns"},
    }
    return {"lexicon": {key: value for key, value in {**config, **changes}.items() if value is not None}}


async def test_adds_beside_what_is_there_and_removes_just_its_own(world: World, service: PowerDns, name: str) -> None:
    """Also at once, though this service is told all records of a name each time."""
    world.secrets["dns"] = {"auth_token": f"{service.token}\n".encode()}
    one, other = (world.provider(solver(service)) for _ in range(2))
    await asyncio.gather(*(each.present(name, value) for each, value in ((one, "a"), (other, "b"), (one, "c"))))
    await one.present(name, "a")
    assert service.records(ZONE, name) == ["a", "b", "c"]
    await asyncio.gather(one.withdraw(name, "a"), other.withdraw(name, "b"))
    await one.withdraw(name, "a")
    assert service.records(ZONE, name) == ["c"]


async def test_the_zone_is_found_where_none_is_named(world: World, service: PowerDns, server: Bind, name: str) -> None:
    world.secrets["dns"] = {"auth_token": service.token.encode()}
    config = solver(service, zone=None)
    await world.provider({**config, "recursiveNameservers": [server.nameserver]}).present(name, "value")
    assert service.records(ZONE, name) == ["value"]


@pytest.mark.parametrize(
    ("changes", "secret", "says"),
    [
        ({}, {"auth_token": b"hunter2"}, "powerdns refuses the credentials, or they do not reach the zone example.com"),
        ({}, {"auth_token": b"\xff"}, "credentialsSecretRef: Secret dns holds something that is not text"),
        (
            {},
            {"token": b"hunter2"},
            "options, or Secret dns: .* not know: token; it knows auth_token, .*pdns_server",
        ),
        (
            {"credentialsSecretRef": {"name": "gone"}},
            {},
            "Secret gone, named in .*SecretRef, does not exist",
        ),
        ({"provider": "powderdns"}, {}, "lexicon.provider: .*powderdns.* is not supported by Lexicon"),
        (
            {"provider": "googleclouddns", "options": {"auth_service_account_info": "file::/etc/passwd"}},
            {},
            "file, and none is read",
        ),
        ({"provider": "oci"}, {}, "lexicon.provider: oci is not available here: it reads its credentials from files"),
        ({"provider": "transip"}, {"auth_api_key": b"/etc/passwd"}, "put auth_api_key, as base64::"),
        ({"options": {"pdns_server": "/var/run/pdns.sock"}}, {}, "set pdns_server to the URL of PowerDNS"),
        ({"options": {"ttl": "long"}}, {}, "options.ttl: is not a number of seconds: write one, such as 300"),
        ({"provider": None}, {}, "lexicon.provider: is missing; write the name that dns-lexicon has for it"),
    ],
)
async def test_what_the_user_has_to_change(
    world: World, service: PowerDns, name: str, changes: dict[str, Any], secret: dict[str, bytes], says: str
) -> None:
    world.secrets["dns"] = secret
    with pytest.raises(Misconfigured, match=says) as caught:
        await world.provider(solver(service, **changes)).present(name, "value")
    assert "lexicon" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_service_that_cannot_be_reached_shows_no_credential(world: World, service: PowerDns, name: str) -> None:
    """Its URL, which has the token in it here, is in the error of the library."""
    world.secrets["dns"] = {"auth_token": b"hunter2"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/hunter2"
    with pytest.raises(Retryable, match=r"powerdns: ConnectionError: .*/\*\*\*/") as caught:
        await world.provider(solver(service, options={"pdns_server": url})).present(name, "value")
    assert "hunter2" not in str(caught.value)


class Echo(BaseHTTPRequestHandler):
    """Refuses, with the token that came."""

    def do_GET(self) -> None:
        said = f"no such token: {self.headers['X-API-Key']}".encode()
        self.send_response(500)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


async def test_no_part_of_a_long_credential_is_shown(world: World, service: PowerDns, name: str) -> None:
    """What is told of an error is shorter than it."""
    world.secrets["dns"] = {"auth_token": b"hunter2-" * 500}
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with pytest.raises(Retryable, match=r"powerdns: ") as caught:
                await world.provider(solver(service, options={"pdns_server": url})).present(name, "value")
        finally:
            server.shutdown()
    assert "hunter2" not in str(caught.value)


async def test_no_part_of_a_credential_is_left_of_what_a_program_prints(
    world: World, service: PowerDns, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text(f"#!/bin/sh\nfor i in 1 2 3; do printf %s {'hunter2-' * 375} >&2; done; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(broken))
    world.secrets["dns"] = {"auth_token": b"hunter2-" * 375}
    with pytest.raises(Retryable, match="ended with status 1") as caught:
        await world.provider(solver(service)).present(name, "value")
    assert "hunter2" not in str(caught.value)


async def test_a_service_that_hangs_is_given_up(
    world: World, service: PowerDns, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csr_operator.dns.lexicon._LIMIT", 1.0)
    world.secrets["dns"] = {"auth_token": b"token"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Retryable, match="was ended after 1 s"):
            await world.provider(solver(service, options={"pdns_server": url})).present(name, "value")


async def test_nothing_of_the_operators_environment_is_used(
    world: World, service: PowerDns, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer without a token must not get at a record with that of the pod."""
    monkeypatch.setenv("LEXICON_POWERDNS_AUTH_TOKEN", service.token)
    monkeypatch.setenv("LEXICON_POWERDNS_TOKEN", service.token)
    with pytest.raises(Retryable, match="PowerDNS API key not defined"):
        await world.provider(solver(service, credentialsSecretRef=None)).present(name, "value")


async def test_a_python_of_its_own(
    world: World, service: PowerDns, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image, where what Route 53 needs does not go with what the operator needs."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(bare))
    world.secrets["dns"] = {"auth_token": service.token.encode()}
    with pytest.raises(Misconfigured, match=r"dns-lexicon is missing .*: install csr-operator\[lexicon\]"):
        await world.provider(solver(service)).present(name, "value")
    monkeypatch.setenv(PYTHON, str(tmp_path / "gone"))
    with pytest.raises(Retryable, match="gone cannot be run: No such file"):
        await world.provider(solver(service)).present(name, "value")


async def test_one_that_is_given_up_delays_no_other(world: World, service: PowerDns, name: str) -> None:
    world.secrets["dns"] = {"auth_token": service.token.encode()}
    provider = world.provider(solver(service))
    records = [(f"{i}.{name}", "value") for i in range(30)]
    tasks = [asyncio.create_task(provider.present(*record)) for record in records]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in done] == [i % 3 == 0 for i in range(30)]
    shown = [service.records(ZONE, record[0]) for record in records]
    assert [values for i, values in enumerate(shown) if i % 3] == [["value"]] * 20


async def test_what_the_service_says_of_one_is_not_said_of_another(world: World, service: PowerDns, name: str) -> None:
    """They go together."""
    world.secrets["dns"] = {"auth_token": service.token.encode()}
    provider = world.provider(solver(service))
    too_long = f"{'a' * 64}.{name}"
    good, bad = await asyncio.gather(
        provider.present(name, "value"), provider.present(too_long, "value"), return_exceptions=True
    )
    assert good is None
    assert "powerdns: HTTPError: 422" in str(bad)
    assert service.records(ZONE, name) == ["value"]
