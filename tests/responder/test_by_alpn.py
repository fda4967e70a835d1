"""tls-alpn-01 beside a web server on port 443, as docs/http01.md has it: Nginx tells the two apart by ALPN."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient, Identifier
from csr_acme.challenges import key_authorization
from csr_operator.challenges.alpn import AlpnChallenge
from csr_operator.challenges.server import serve_tls
from tests.responder.support import answering, asked, now, proven, proven_by, shaken
from tests.support.kubectl import wait_until
from tests.support.pebble import Pebble, pebble
from tests.support.ports import answers, free_ports

PAGE = Path(__file__).parents[2] / "docs" / "http01.md"
HOST = "www.example.com"
FRAME = """
daemon off;
pid nginx.pid;
error_log stderr;
events {}
"""


class Ports(NamedTuple):
    shared: int
    operator: int
    web: int


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """Nginx as the page has it, on other ports."""
    ports = Ports(*free_ports(3))
    folder = tmp_path_factory.mktemp("nginx")
    [text] = re.findall(r"^```nginx\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for ours, theirs in (
        ("modules/", "/usr/lib/nginx/modules/"),
        ("listen 443;", f"listen 127.0.0.1:{ports.shared};"),
        ("csr-operator-acme-tls.csr-operator-system.svc:443", f"127.0.0.1:{ports.operator}"),
        ("127.0.0.1:8443", f"127.0.0.1:{ports.web}"),
    ):
        assert text.count(ours) == 1
        text = text.replace(ours, theirs)
    (folder / "nginx.conf").write_text(text + FRAME)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["nginx", "-e", "stderr", "-p", f"{folder}/", "-c", "nginx.conf"], stderr=log)
    try:
        wait_until("Nginx answers", lambda: answers(ports.shared))
        yield ports
    finally:
        process.terminate()  # killed, it would leave its workers
        process.wait()


@pytest.fixture(scope="module")
def server(ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble"), tls_port=ports.shared) as running:
        yield running


async def test_a_ca_is_led_to_the_operator_and_everybody_else_to_the_web_server(
    client: AcmeClient, key: ec.EllipticCurvePrivateKey, ports: Ports
) -> None:
    order, challenge = await asked(client, Identifier("dns", HOST), "tls-alpn-01")
    operators = AlpnChallenge(HOST, key_authorization(challenge.token, key))
    web = AlpnChallenge(HOST, "of-the-web-server")
    async with (
        serve_tls("127.0.0.1", ports.operator, answering(operators), now),
        serve_tls("127.0.0.1", ports.web, answering(web), now),
    ):
        der, _, _ = await shaken(ports.shared, HOST, "h2", "http/1.1")
        assert proven_by(der, operators, web) == web
        assert await proven(client, order, challenge) == "ready"
