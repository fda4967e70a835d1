"""Pebble, the ACME test server of Let's Encrypt, and its DNS and challenge server; strict, and hard with nonces."""

import ipaddress
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.kubectl import wait_until
from tests.support.ports import answers, free_ports
from tests.support.tools import Mend, go_tool

VERSION = "v2.10.1"
PEBBLE = ("github.com/letsencrypt/pebble/v2/cmd/pebble", VERSION)
CHALLENGE_SERVER = ("github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv", VERSION)
MEND = Mend(
    # A request that holds an authorization's lock and wants the store's waits for one that holds the store's and wants
    # the authorization's: with enough clients at once, Pebble answers nobody any more.
    "github.com/letsencrypt/pebble/v2",
    "db/memorystore.go",
    """	m.RLock()
	defer m.RUnlock()
	for _, authz := range m.authorizationsByID {
""",
    """	m.RLock()
	known := make([]*core.Authorization, 0, len(m.authorizationsByID))
	for _, authz := range m.authorizationsByID {
		known = append(known, authz)
	}
	m.RUnlock()
	for _, authz := range known {
""",
)
EXTERNAL_KEY_ID = "kid-1"
EXTERNAL_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


Spawn = Callable[[list[str], Mapping[str, str], Path], subprocess.Popen[bytes]]


@dataclass(frozen=True, slots=True)
class Pebble:
    """directory: URL. ca_file: what its own HTTPS certificate leads to."""

    directory: str
    ca_file: Path
    management: str
    challenges: str
    http_port: int
    tls_port: int
    log: Path

    def set_txt(self, name: str, value: str) -> None:
        """Add a TXT record; `name` without the final dot."""
        self._tell("set-txt", {"host": f"{name}.", "value": value})

    def clear_txt(self, name: str) -> None:
        self._tell("clear-txt", {"host": f"{name}."})

    def add_http01(self, token: str, content: str) -> None:
        """Have the challenge server answer http-01."""
        self._tell("add-http01", {"token": token, "content": content})

    def add_tls_alpn01(self, host: str, content: str) -> None:
        self._tell("add-tlsalpn01", {"host": host, "content": content})

    def lead(self, host: str, address: str) -> None:
        """Have the challenge server's DNS say that `host` is there."""
        self._tell("add-a", {"host": host, "addresses": [address]})

    def roots(self) -> bytes:
        """What issued certificates lead to (PEM)."""
        return self._ask("roots/0")

    def root_name(self, number: int) -> str:
        """The common name of a root: 0 is that of the chain that is offered first, 1 that of the alternate."""
        (root,) = x509.load_pem_x509_certificates(self._ask(f"roots/{number}"))
        return str(root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def status_of(self, certificate: x509.Certificate) -> str:
        """`Valid` or `Revoked`."""
        return str(self._told_of(certificate)["Status"])

    def reason_of(self, certificate: x509.Certificate) -> int | None:
        """Why it is revoked (RFC 5280, section 5.3.1), if Pebble was told."""
        return self._told_of(certificate).get("Reason")

    def _told_of(self, certificate: x509.Certificate) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._ask(f"cert-status-by-serial/{certificate.serial_number:x}"))
        return told

    def set_renewal_info(self, certificate: x509.Certificate, answer: Mapping[str, Any]) -> None:
        """What Pebble says about when to renew a certificate from now on."""
        pem = certificate.public_bytes(Encoding.PEM).decode()
        body = json.dumps({"Certificate": pem, "ARIResponse": json.dumps(answer)}).encode()
        self._ask("set-renewal-info/", body)

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=self.ca_file)
        asked = urllib.request.Request(f"{self.management}/{path}", body)
        with urllib.request.urlopen(asked, context=context, timeout=10) as answer:
            return bytes(answer.read())

    def orders(self) -> int:
        """How many orders were placed, by Pebble's log."""
        return self.log.read_text(errors="replace").count("Added order ")

    def _tell(self, command: str, body: Mapping[str, Any]) -> None:
        request = urllib.request.Request(f"{self.challenges}/{command}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


@contextmanager
def pebble(
    folder: Path,
    *,
    reject_nonces: int = 20,
    external: bool = False,
    dns_port: int | None = None,
    http_port: int | None = None,
    tls_port: int | None = None,
    spawn: Spawn | None = None,
) -> Iterator[Pebble]:
    """Run both.

    reject_nonces: percent. external: accounts need an external binding. dns_port: another DNS server. http_port,
    tls_port: where others answer http-01 and tls-alpn-01; every name is at 127.0.0.1, if the DNS server is not another.
    spawn: who starts a process, given its command, environment and the file for its output.
    """
    listen, management, http, tls, challenges, dns = free_ports(6)
    own_http, own_tls = (
        f"127.0.0.1:{own}" if others is None else "" for own, others in ((http, http_port), (tls, tls_port))
    )
    http, tls = http_port or http, tls_port or tls
    _certificate(folder)
    config: dict[str, Any] = {
        "listenAddress": f"127.0.0.1:{listen}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(folder / "server.pem"),
        "privateKey": str(folder / "server.key"),
        "httpPort": http,
        "tlsPort": tls,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": external,
        "externalAccountMACKeys": {EXTERNAL_KEY_ID: EXTERNAL_KEY} if external else {},
        "domainBlocklist": ["blocked.example"],
        "retryAfter": {"authz": 1, "order": 1},
        "keyAlgorithm": "ecdsa",
        "profiles": {
            "default": {"description": "the usual", "validityPeriod": 7776000},
            "shortlived": {"description": "six days", "validityPeriod": 518400},
        },
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
    resolver = f"127.0.0.1:{dns_port or dns}"
    environment = {
        **os.environ,
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": str(reject_nonces),
        "PEBBLE_ALTERNATE_ROOTS": "1",
        "PEBBLE_AUTHZREUSE": "0",
    }
    server = [str(go_tool(*PEBBLE, MEND)), "-strict", "-config", str(folder / "pebble.json"), "-dnsserver", resolver]
    helper = [
        str(go_tool(*CHALLENGE_SERVER)),
        *("-management", f"127.0.0.1:{challenges}", "-dnsserver", f"127.0.0.1:{dns}", "-defaultIPv6", ""),
        *("-http01", own_http, "-https01", "", "-tlsalpn01", own_tls, "-doh", ""),
    ]
    log, start = folder / "pebble.log", spawn or _spawn
    processes = [start(server, environment, log), start(helper, environment, folder / "challtestsrv.log")]
    try:
        for port in (listen, management, challenges):
            wait_until(f"port {port} answers: see {log}", lambda p=port: answers(p))  # type: ignore[misc]
        yield Pebble(
            directory=f"https://127.0.0.1:{listen}/dir",
            ca_file=folder / "ca.pem",
            management=f"https://127.0.0.1:{management}",
            challenges=f"http://127.0.0.1:{challenges}",
            http_port=http,
            tls_port=tls,
            log=log,
        )
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _spawn(command: list[str], environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def _certificate(folder: Path) -> None:
    """A CA, and a certificate by it for the loopback address."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Pebble's own CA")])

    def builder(public: ec.EllipticCurvePublicKey, name: x509.Name) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(ca_name, name, public, x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )

    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    ca = (
        builder(ca_key.public_key(), ca_name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True}), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    loopback = x509.SubjectAlternativeName([x509.DNSName("localhost"), _loopback()])
    leaf = (
        builder(key.public_key(), x509.Name([]))
        .add_extension(loopback, critical=True)
        .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (folder / "server.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(private)


def _loopback() -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
