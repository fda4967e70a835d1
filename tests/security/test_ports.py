"""Somebody in the cluster who wants to keep others out of the operator's ports, or its probes from being answered."""

import json
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from csr_operator.challenges import server as challenge_server
from csr_operator.web import probes as web
from tests.responder.support import PATH, ask
from tests.support.kubectl import wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.site import Site

ATTACKER, OTHERS = "127.0.0.2", tuple(f"127.0.1.{last}" for last in range(1, 41))
HALF = b"GET /metrics HTTP/1.1\r\nHost: www.example.com\r\nX-Slow: "
MANY = 600


@pytest.fixture(scope="module", autouse=True)
def _files() -> None:
    """Enough for the attacker."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))


@pytest.fixture
def modest(operator_credentials: Path, site: Site, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator with as many files as containers have by default."""
    namespace = ("--namespace", site.kubectl.namespace)
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *namespace) as process:
        command = ["prlimit", f"--pid={process.pid}", "--nofile=1024:1024"]
        subprocess.run(command, check=True)
        yield process


@contextmanager
def half_open(port: int, number: int, *sources: str, sent: bytes = HALF) -> Iterator[list[socket.socket]]:
    """So many connections that say a part of what they have to, and then nothing."""
    with ExitStack() as stack:
        held = []
        for i in range(number):
            source = (sources[i % len(sources)], 0)
            held.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 30, source)))
            held[-1].sendall(sent)
        yield held


def served(operator: OperatorProcess) -> None:
    assert operator.get("/healthz") == "ok\n"
    assert operator.get("/readyz") == "ok\n"
    assert "csr_operator_queue_depth" in operator.get("/metrics")
    # One that nobody presented; the challenges themselves are in tests/responder.
    assert ask(operator.acme_port, "www.example.com", f"{PATH}{'a' * 43}")[0] == 404


def test_half_requests_of_one_peer_keep_nobody_out(modest: OperatorProcess) -> None:
    """At all ports at once: more than the operator may have files."""
    ports = (modest.port, modest.probe_port, modest.acme_port)
    with half_open(ports[0], MANY, ATTACKER), half_open(ports[1], MANY, ATTACKER), half_open(ports[2], MANY, ATTACKER):
        served(modest)
        assert modest.metric("process_open_fds") < web._MOST_SCRAPES + web._MOST_PROBES + challenge_server._MOST + 100
    assert "Too many open files" not in modest.log.read_text()


def test_nor_do_those_of_many_peers(modest: OperatorProcess) -> None:
    """Nobody has more than a share, and together they have all there is."""
    ports = (modest.port, modest.probe_port, modest.acme_port)
    with half_open(ports[0], MANY, *OTHERS), half_open(ports[1], MANY, *OTHERS), half_open(ports[2], MANY, *OTHERS):
        served(modest)


def test_a_half_request_does_not_last(modest: OperatorProcess) -> None:
    for port in (modest.port, modest.probe_port, modest.acme_port):
        with half_open(port, 1, ATTACKER) as (held,):
            held.settimeout(60)
            assert held.recv(100) == b""


def test_who_takes_no_answer_keeps_no_other_from_one(modest: OperatorProcess) -> None:
    whole = HALF + b"1\r\n\r\n"
    with half_open(modest.port, MANY, ATTACKER, sent=whole):
        served(modest)


@pytest.mark.parametrize("name", ["port", "probe_port", "acme_port"])
def test_no_body_is_read(modest: OperatorProcess, name: str) -> None:
    """It is refused by its method; what goes on being sent meets a closed connection."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    with half_open(getattr(modest, name), 1, ATTACKER, sent=head) as (held,):
        assert held.recv(1000).startswith(b"HTTP/1.1 405 ")

        def is_closed() -> bool:
            try:
                held.sendall(b"x" * 1_000_000)
            except OSError:
                return True
            return False

        wait_until("the connection is closed", is_closed)


def test_one_request_whose_times_make_no_sense_takes_the_metrics_from_no_other(site: Site) -> None:
    """Who may write Secrets of a namespace writes what the operator is to have said of a certificate."""
    for name in ("absurd", "sound"):
        site.kubectl.apply(request(name, "ca", renewBeforePercentage=99))
        site.kubectl.wait_ready(name)
    secret = site.kubectl.get("secret", "absurd-tls")
    metadata = {key: secret["metadata"][key] for key in ("name", "labels", "annotations", "ownerReferences")}
    absurd = {"not-before": "9999-12-31T23:59:59Z", "not-after": "0001-01-01T00:00:00Z"}
    metadata["annotations"] |= {f"csr-operator.dev/{key}": value for key, value in absurd.items()}
    forged = {key: secret[key] for key in ("apiVersion", "kind", "type", "data")} | {"metadata": metadata}
    # By the name that the operator writes by, which anybody can use.
    by_name = ("--server-side", "--force-conflicts", "--field-manager=csr-operator")
    site.kubectl("apply", *by_name, "-f", "-", stdin=json.dumps(forged))

    site.settle()

    assert site.metric("csr_operator_request_ready", "sound") == 1
