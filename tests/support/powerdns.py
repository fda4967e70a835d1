"""PowerDNS, a DNS server with an HTTP API that dns-lexicon knows."""

import json
import os
import sqlite3
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.kubectl import wait_until
from tests.support.ports import free_ports

_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


@dataclass(frozen=True, slots=True)
class PowerDns:
    """url: of its API. token: what the API asks for. port: where it answers DNS, on 127.0.0.1."""

    url: str
    token: str = field(repr=False)
    port: int

    def create(self, zone: str) -> None:
        """All names of it have the address 127.0.0.1."""
        addresses = {"name": f"*.{zone}.", "type": "A", "ttl": 60, "records": [{"content": "127.0.0.1"}]}
        servers = [f"ns1.{zone}."]
        body = {"name": f"{zone}.", "kind": "Native", "nameservers": servers, "rrsets": [addresses]}
        self._call("POST", "zones", body)

    def records(self, zone: str, name: str) -> list[str]:
        """The TXT records at `name`, sorted, without their quotes."""
        found = self._call("GET", f"zones/{zone}.")["rrsets"]
        here = [each["records"] for each in found if each["name"] == f"{name}." and each["type"] == "TXT"]
        return sorted(record["content"].strip('"') for records in here for record in records)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.url}/api/v1/servers/localhost/{path}"
        headers = {"X-API-Key": self.token, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def powerdns(folder: Path) -> Iterator[PowerDns]:
    """Run it, as whoever runs the tests, without zones."""
    database = folder / "pdns.sqlite3"
    with sqlite3.connect(database) as connection:
        connection.executescript(_SCHEMA.read_text())
    connection.close()
    running = PowerDns(
        f"http://127.0.0.1:{free_ports(1, '127.0.0.1')[0]}", os.urandom(16).hex(), free_ports(1, "127.0.0.1")[0]
    )
    settings = {
        "launch": "gsqlite3",
        "gsqlite3-database": database,
        "local-address": "127.0.0.1",
        "local-port": running.port,
        "socket-dir": folder,
        "api": "yes",
        "api-key": running.token,
        "webserver": "yes",
        "webserver-address": "127.0.0.1",
        "webserver-port": running.url.rpartition(":")[2],
        "cache-ttl": 0,
        "query-cache-ttl": 0,
        "negquery-cache-ttl": 0,
        "zone-cache-refresh-interval": 0,
        "security-poll-suffix": "",
    }
    (folder / "pdns.conf").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    command: list[str | Path] = ["pdns_server", f"--config-dir={folder}", "--daemon=no", "--guardian=no"]
    log = folder / "pdns.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            wait_until(f"PowerDNS answers: see {log}", lambda: _answers(running, process, log))
            yield running
        finally:
            process.kill()
            process.wait()


def _answers(server: PowerDns, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-2000:]
    try:
        return bool(server._call("GET", "zones") == [])
    except OSError:
        return False
