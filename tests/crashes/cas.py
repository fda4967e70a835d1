"""The CAs of the crash matrix: one for each way in which a backend makes up for an answer that it did not hear."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509

from tests.emulators import digicert_server
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.emulators.digicert_server import DigicertServer
from tests.support.acme import acme_issuer, rfc2136, rfc2136_secret
from tests.support.acme_proxy import AcmeProxy
from tests.support.authorities import credential
from tests.support.bind import Bind, bind
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer
from tests.support.pebble import Pebble, pebble
from tests.support.revocation import CA, ISSUER, crl_text
from tests.support.site import decoded
from tests.support.third_party import EXAMPLE, HttpCa, external, install

ISSUER_NAME = "issuer"


class Books(Protocol):
    """What the CA knows of the request in one namespace. Serial numbers are in hex, without leading zeros."""

    def orders(self) -> int | None:
        """How many were placed; None if the CA keeps no account of them, as a repeat is harmless."""

    def issued(self) -> set[str] | None:
        """What it signed; None if it does not tell."""

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        """Of what was seen in the Secret."""

    def left(self) -> list[str]:
        """What is still open there, or in the DNS, and belongs to nobody."""


@dataclass(frozen=True)
class Place:
    """A CA that runs. open_books: applies the issuer `ISSUER_NAME` in a namespace; the request is for `host`.

    secrets: those that the issuer needs or makes. arguments, installed: for the operator.
    """

    open_books: Callable[[Kubectl, str], Books]
    secrets: frozenset[str]
    arguments: tuple[str, ...] = ()
    installed: Path | None = None


@dataclass(frozen=True)
class CaUnderTest:
    """kind: what makes up for a lost answer. takes_long: half a minute for each life."""

    name: str
    kind: str
    run: Callable[[Path], AbstractContextManager[Place]]
    takes_long: bool = False


@dataclass(frozen=True)
class _ListBooks:
    kubectl: Kubectl

    def orders(self) -> int | None:
        return None

    def issued(self) -> set[str] | None:
        return None

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        text = crl_text(decoded(self.kubectl.get("secret", "crl"))["ca.crl"])
        return {number.lstrip("0").upper() for number in re.findall(r"Serial Number: ([0-9A-F]+)", text)}

    def left(self) -> list[str]:
        return []


@contextmanager
def _own_ca(folder: Path) -> Iterator[Place]:
    def open_books(kubectl: Kubectl, host: str) -> Books:
        kubectl.create(CA.secret("revoking-ca"), issuer(ISSUER_NAME, ca=ISSUER))
        return _ListBooks(kubectl)

    yield Place(open_books, frozenset({"revoking-ca", "crl"}))


@dataclass(frozen=True)
class _HttpBooks:
    ca: HttpCa
    name: str

    def orders(self) -> int | None:
        return len(self.ca.branch(self.name).orders)

    def issued(self) -> set[str] | None:
        chains = (chain for _, chain in self.ca.branch(self.name).orders.values())
        return {serial(x509.load_pem_x509_certificates(chain.encode())[0]) for chain in chains}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return {number.lstrip("0").upper() for number in self.ca.branch(self.name).revoked}

    def left(self) -> list[str]:
        return []


@contextmanager
def _http_ca(folder: Path) -> Iterator[Place]:
    (installed := folder / "installed").mkdir()
    install(EXAMPLE, installed)
    with HttpCa() as ca:

        def open_books(kubectl: Kubectl, host: str) -> Books:
            kubectl.create(external(ca.branch(kubectl.namespace), ISSUER_NAME, "example-orders"))
            return _HttpBooks(ca, kubectl.namespace)

        yield Place(open_books, frozenset(), installed=installed)


@dataclass(frozen=True)
class _CertCentralBooks:
    server: DigicertServer
    host: str

    def _mine(self) -> list[dict[str, Any]]:
        return [one for one in self.server.orders if one["body"]["certificate"]["common_name"] == self.host]

    def orders(self) -> int | None:
        return len(self._mine())

    def issued(self) -> set[str] | None:
        return {_trimmed(one["serial_number"]) for order in self._mine() for one in order["certificates"]}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        every = (one for order in self._mine() for one in order["certificates"])
        return {_trimmed(one["serial_number"]) for one in every if one["status"] == "revoked"}

    def left(self) -> list[str]:
        return [f"order {one['id']} is {one['status']}" for one in self._mine() if one["status"] != "issued"]


def _cert_central(plan: digicert_server.Plan) -> Callable[[Path], AbstractContextManager[Place]]:
    @contextmanager
    def run(folder: Path) -> Iterator[Place]:
        with DigicertServer(folder / "journal", plan=plan) as server:
            config = {
                "url": f"{server.url}{digicert_server.BASE}",
                "caBundle": server.ca_bundle,
                "secretName": "account",
                "product": digicert_server.OV,
                "organizationId": digicert_server.ORGANIZATION,
            }

            def open_books(kubectl: Kubectl, host: str) -> Books:
                secret = credential("account", **{"api-key": digicert_server.KEY})
                kubectl.create(secret, issuer(ISSUER_NAME, digicert=config))
                return _CertCentralBooks(server, host)

            yield Place(open_books, frozenset({"account"}))

    return run


@dataclass(frozen=True)
class _DigicertOneBooks:
    server: DigicertOneServer
    host: str

    def _mine(self) -> list[dict[str, Any]]:
        return [one for one in self.server.certificates if one["seat"] == self.host]

    def orders(self) -> int | None:
        return len(self._mine())

    def issued(self) -> set[str] | None:
        return {_trimmed(one["serial_number"]) for one in self._mine()}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return {_trimmed(one["serial_number"]) for one in self._mine() if one["status"] == "revoked"}

    def left(self) -> list[str]:
        return []


@contextmanager
def _digicert_one(folder: Path) -> Iterator[Place]:
    with DigicertOneServer(folder / "journal") as server:
        config = {
            "url": server.url,
            "caBundle": server.ca_bundle,
            "secretName": "account",
            "profileId": server.PROFILE,
        }

        def open_books(kubectl: Kubectl, host: str) -> Books:
            secret = credential("account", **{"api-key": digicert_server.KEY})
            kubectl.create(secret, issuer(ISSUER_NAME, digicertOne=config))
            return _DigicertOneBooks(server, host)

        yield Place(open_books, frozenset({"account"}))


@dataclass(frozen=True)
class _AcmeBooks:
    place: "_AcmePlace"
    host: str

    def orders(self) -> int | None:
        return sum(self.host in identifiers for identifiers in self.place.proxy.placed)

    def issued(self) -> set[str] | None:
        return None

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return {serial(leaf) for leaf in seen if self.place.pebble.status_of(leaf) == "Revoked"}

    def left(self) -> list[str]:
        return self.place.bind.records(f"_acme-challenge.{self.host}")


@dataclass(frozen=True)
class _AcmePlace:
    pebble: Pebble
    bind: Bind
    proxy: AcmeProxy


@contextmanager
def _acme(folder: Path) -> Iterator[Place]:
    with (
        bind(folder, ["example.com"]) as dns,
        pebble(folder, dns_port=dns.port, reject_nonces=0) as server,
        AcmeProxy(server) as proxy,
    ):

        def open_books(kubectl: Kubectl, host: str) -> Books:
            manifest = acme_issuer(ISSUER_NAME, server, rfc2136(dns), directory=proxy.directory)
            kubectl.create(rfc2136_secret(dns), manifest)
            return _AcmeBooks(_AcmePlace(server, dns, proxy), host)

        yield Place(open_books, frozenset({"tsig", f"{ISSUER_NAME}-account"}))


def serial(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:X}"


def _trimmed(number: str) -> str:
    return number.lstrip("0").upper()


_SLOWLY = digicert_server.after((0, "pending"), (1, "issued"))

CAS = (
    CaUnderTest("ca", "a repeat is harmless", _own_ca),
    CaUnderTest("external", "the CA knows the order by its key", _http_ca),
    CaUnderTest("digicert", "the order is looked up", _cert_central(digicert_server.AT_ONCE)),
    CaUnderTest("digicertOne", "the certificate is looked up", _digicert_one),
    CaUnderTest("digicert-pending", "the order is looked up, and waited for", _cert_central(_SLOWLY), takes_long=True),
    CaUnderTest("acme", "the order is looked up, and takes many steps", _acme),
)
