"""BIND, the DNS server, with zones that may be changed by RFC 2136."""

import base64
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from tests.support.kubectl import wait_until
from tests.support.ports import free_ports
from tests.support.relay import relay

KEY_NAME = "csr-operator"

_OPTIONS = """
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    tcp-clients 1000;
    tcp-listen-queue 1000;
    dnssec-validation no;
    notify no;
    allow-query {{ any; }};
    allow-transfer {{ any; }};
    minimal-responses no-auth;
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
key "reader" {{ algorithm hmac-sha256; secret "{secret}"; }};
"""
_PRIMARY = """
zone "{zone}" {{
    type primary;
    file "{zone}.zone";
    update-policy {{ grant {key} zonesub ANY; }};
}};
"""
_SECONDARY = """
zone "{zone}" {{
    type secondary;
    file "{zone}.copy";
    primaries port {primary.listening} {{ 127.0.0.1; }};
    allow-notify {{ any; }};
    min-refresh-time 3600;
}};
"""
_ZONE = """$ORIGIN {zone}.
$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 5
@ A 127.0.0.1
* A 127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class Bind:
    """key_name, secret: of the TSIG key (HMAC-SHA-256) that may change everything; the key `reader`, with the same
    secret, may change nothing. listening: the port of 127.0.0.1 that named itself is at."""

    address: str
    port: int
    zones: Sequence[str]
    key_name: str
    secret: str = field(repr=False)
    log: Path
    listening: int

    @property
    def nameserver(self) -> str:
        """As host:port."""
        return f"{self.address}:{self.port}"

    def records(self, name: str, kind: str = "TXT", timeout: float = 10) -> list[str]:
        """What it has at `name`, sorted, a TXT record without its quotes."""
        query = dns.message.make_query(name, kind, flags=0)
        response, _ = dns.query.udp_with_fallback(query, self.address, timeout, self.port)
        return sorted(str(each).strip('"') for rrset in response.answer for each in rrset)

    def add(self, name: str, kind: str, value: str) -> None:
        """Add a record; a host that `value` names is fully qualified, with its final dot."""
        update = self._update(name)
        update.add(f"{name}.", 60, kind, value)
        self._send(update)

    def remove(self, name: str, kind: str, *value: str) -> None:
        """All of that kind, or the one with this value."""
        update = self._update(name)
        update.delete(f"{name}.", kind, *value)
        self._send(update)

    def fetch(self, zone: str) -> None:
        """Have a secondary server get the zone's changes from its primary one."""
        notice = dns.message.make_query(zone, "SOA", flags=dns.flags.AA)
        notice.set_opcode(dns.opcode.NOTIFY)
        assert dns.query.udp(notice, self.address, 10, self.port).rcode() == dns.rcode.NOERROR

    def _update(self, name: str) -> dns.update.UpdateMessage:
        zone = max((zone for zone in self.zones if f".{name}".endswith(f".{zone}")), key=len)
        key = dns.tsig.Key(self.key_name, self.secret, dns.tsig.HMAC_SHA256)
        return dns.update.UpdateMessage(zone, keyring=key)

    def _send(self, update: dns.update.UpdateMessage) -> None:
        response = dns.query.tcp(update, self.address, 10, self.port)
        assert response.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(response.rcode())


@contextmanager
def bind(
    folder: Path,
    zones: Sequence[str] = ("example.com",),
    *,
    address: str = "127.0.0.1",
    port: int | None = None,
    servers: Sequence[str] = (),
    primary: Bind | None = None,
) -> Iterator[Bind]:
    """Run it, as whoever runs the tests. All names of a zone have the address 127.0.0.1 until told otherwise.

    port: a free one if None. servers: addresses of the authoritative servers that the zones name (ns1, ns2 ...); its
    own if empty. primary: of which it is a secondary server, which gets no change before `fetch`.
    """
    secret = primary.secret if primary else base64.b64encode(os.urandom(32)).decode()
    (port,) = (port,) if port else free_ports(1, address)
    (listening,) = (port,) if address == "127.0.0.1" else free_ports(1)
    running = Bind(address, port, zones, KEY_NAME, secret, folder / "named.log", listening)
    config = _OPTIONS.format(folder=folder, port=listening, key=KEY_NAME, secret=secret)
    for zone in zones:
        config += (_SECONDARY if primary else _PRIMARY).format(zone=zone, key=KEY_NAME, primary=primary)
        text = _ZONE.format(zone=zone)
        for number, each in enumerate(servers or [address], 1):
            text += f"@ NS ns{number}\nns{number} A {each}\n"
        (folder / f"{zone}.zone").write_text(text)
    (folder / "named.conf").write_text(config)
    # Where AppArmor is, Debian's profile keeps the program at its own path from every other folder.
    program = shutil.copy(shutil.which("named") or "/usr/sbin/named", folder / "named")
    command: list[str | Path] = [program, "-g", "-n", "1", "-c", folder / "named.conf"]
    with running.log.open("wb") as log, ExitStack() as stack:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            if listening != port:
                stack.enter_context(relay((address, port), ("127.0.0.1", listening)))
            wait_until(f"named serves {zones}: see {running.log}", lambda: _serves(running, process))
            yield running
        finally:
            process.kill()
            process.wait()


def _serves(server: Bind, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, server.log.read_text()[-2000:]
    try:
        return all(server.records(zone, "SOA", 1) for zone in server.zones)
    except (OSError, dns.exception.DNSException):
        return False
