"""Backends of third parties, installed for one operator, and a CA that they can ask."""

import json
import shutil
import threading
import tomllib
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.authority import load_authority, sign
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.profile import Profile
from tests.support.authorities import authority
from tests.support.manifests import issuer

EXAMPLE = Path(__file__).parents[2] / "examples" / "backend"
BROKEN = Path(__file__).parent / "broken_backend"


def install(distribution: Path, folder: Path) -> None:
    """What pip does with a distribution of modules, as far as an operator with `folder` on its path sees it."""
    project = tomllib.loads((distribution / "pyproject.toml").read_text())["project"]
    for module in distribution.glob("*.py"):
        shutil.copy(module, folder)
    write_metadata(project, folder)


def write_metadata(project: Mapping[str, Any], folder: Path) -> None:
    """What Python finds out about a distribution whose modules are in `folder`. project: of its pyproject.toml."""
    version = project.get("version", "0.0.0")
    info = folder / f"{project['name'].replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {version}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {where}" for name, where in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Branch:
    """What the CA does below one path, so that each issuer can have its own.

    calls: paths and the first labels of the first DNS names that were asked for, in order. most: of `sign`, how many
    were under way at once. answers: by path and label, what to answer before doing as asked. orders: by the
    key that they were placed with, number and certificate.
    """

    url: str
    calls: list[tuple[str, str]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    open: threading.Event = field(default_factory=threading.Event)
    answers: dict[tuple[str, str], deque[Answer]] = field(default_factory=dict)
    orders: dict[str, tuple[str, str]] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open.set()

    def hang(self) -> None:
        """Answer nothing until `go_on`."""
        self.open.clear()

    def go_on(self) -> None:
        self.open.set()

    def will_answer(self, path: str, label: str, *answers: Answer) -> None:
        self.answers[path, label] = deque(answers)

    def count(self, path: str, label: str) -> int:
        return self.calls.count((path, label))


def external(branch: Branch, name: str, backend: str = "example", **spec: Any) -> dict[str, Any]:
    """An issuer whose CA is one branch of the HTTP CA."""
    return issuer(name, external={"name": backend, "config": {"url": branch.url}}, **spec)


class _Server(ThreadingHTTPServer):
    """With room for all that connect at once: the five of the default have a connection wait for minutes."""

    request_queue_size = 128


class HttpCa:
    """The CA that the example asks: a context manager, which serves on a port of 127.0.0.1."""

    def __init__(self) -> None:
        pair = authority("HTTP CA")
        self.certificate = pair.certificate
        self._authority = load_authority(pair.certificate.encode(), pair.key.encode())
        self._branches: dict[str, Branch] = {}
        self._lock = threading.Lock()
        ca = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ca._serve(self, {})

            def do_POST(self) -> None:
                ca._serve(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "HttpCa":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for branch in self._branches.values():
            branch.go_on()
        self._server.shutdown()
        self._server.server_close()

    def branch(self, name: str) -> Branch:
        with self._lock:
            url = f"http://127.0.0.1:{self._server.server_port}/{name}"
            return self._branches.setdefault(name, Branch(url))

    def _serve(self, handler: BaseHTTPRequestHandler, asked: Mapping[str, Any]) -> None:
        _, name, path = handler.path.split("/", 2)
        branch = self.branch(name)
        csr = x509.load_pem_x509_csr(asked["csr"].encode()) if "csr" in asked else None
        with self._lock:
            branch.calls.append((path, _label(csr)))
            branch.running += path == "sign"
            branch.most = max(branch.most, branch.running)
        try:
            branch.open.wait(timeout=120)
            answer = self._answer(branch, path, csr, asked, handler.headers.get("Idempotency-Key", ""))
        finally:
            with self._lock:
                branch.running -= path == "sign"
        with suppress(OSError):  # who asked may have gone
            handler.send_response(answer.status)
            for header, value in answer.headers.items():
                handler.send_header(header, value)
            handler.send_header("Content-Length", str(len(answer.text)))
            handler.end_headers()
            handler.wfile.write(answer.text.encode())

    def _answer(
        self,
        branch: Branch,
        path: str,
        csr: x509.CertificateSigningRequest | None,
        asked: Mapping[str, Any],
        key: str,
    ) -> Answer:
        with self._lock:
            if planned := branch.answers.get((path, _label(csr))):
                return planned.popleft()
            if path == "orders":
                assert csr is not None
                if key not in branch.orders:
                    branch.orders[key] = (str(len(branch.orders) + 1), self._sign(csr, asked))
                return Answer(202, branch.orders[key][0])
        match path.split("/"):
            case ["ca"]:
                return Answer(200, self.certificate)
            case ["sign"]:
                assert csr is not None
                return Answer(200, self._sign(csr, asked))
            case ["orders", number]:
                return Answer(200, dict(branch.orders.values())[number])
            case ["revoke"]:
                branch.revoked.append(asked["serial"])
                return Answer(204)
        return Answer(404)

    def _sign(self, csr: x509.CertificateSigningRequest, asked: Mapping[str, Any]) -> str:
        now = datetime.now(UTC)
        profile = Profile(usages=tuple(asked["usages"]), is_ca=asked["isCA"])
        until = now + timedelta(seconds=asked["seconds"])
        leaf = sign(self._authority, csr, profile, not_before=now, not_after=until)
        return leaf.public_bytes(Encoding.PEM).decode() + self.certificate


def _label(csr: x509.CertificateSigningRequest | None) -> str:
    names = alternative_names(csr) if csr is not None else ()
    hosts = (name.value for name in names if isinstance(name, x509.DNSName))
    return next(hosts, "").split(".")[0]
