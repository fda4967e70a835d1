"""The vendors of the crash matrix, emulated: their orders cost something, and are looked up."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.crashes.place import ISSUER_NAME, Books, Place, trimmed
from tests.emulators import digicert_server, sectigo_server
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.emulators.digicert_server import DigicertServer
from tests.emulators.sectigo_server import SectigoServer
from tests.support.authorities import credential
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer


@dataclass(frozen=True)
class _CertCentralBooks(Books):
    server: DigicertServer
    host: str

    def _mine(self) -> list[dict[str, Any]]:
        return [one for one in self.server.orders if one["body"]["certificate"]["common_name"] == self.host]

    def orders(self) -> int | None:
        return len(self._mine())

    def issued(self) -> set[str] | None:
        return {trimmed(one["serial_number"]) for order in self._mine() for one in order["certificates"]}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        every = (one for order in self._mine() for one in order["certificates"])
        return {trimmed(one["serial_number"]) for one in every if one["status"] == "revoked"}

    def left(self) -> list[str]:
        return [f"order {one['id']} is {one['status']}" for one in self._mine() if one["status"] != "issued"]


def cert_central(plan: digicert_server.Plan) -> Callable[[Path], AbstractContextManager[Place]]:
    """plan: what becomes of its orders."""

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
class _DigicertOneBooks(Books):
    server: DigicertOneServer
    host: str

    def _mine(self) -> list[dict[str, Any]]:
        return [one for one in self.server.certificates if one["seat"] == self.host]

    def orders(self) -> int | None:
        return len(self._mine())

    def issued(self) -> set[str] | None:
        return {trimmed(one["serial_number"]) for one in self._mine()}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return {trimmed(one["serial_number"]) for one in self._mine() if one["status"] == "revoked"}


@contextmanager
def digicert_one(folder: Path) -> Iterator[Place]:
    """DigiCert ONE."""
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
class _SectigoBooks(Books):
    server: SectigoServer
    host: str

    def _mine(self) -> list[dict[str, Any]]:
        return [one for one in self.server.orders.values() if one["commonName"] == self.host]

    def orders(self) -> int | None:
        return len(self._mine())

    def issued(self) -> set[str] | None:
        return {trimmed(one["serialNumber"]) for one in self._mine() if "serialNumber" in one}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return {trimmed(one["serialNumber"]) for one in self._mine() if one["steps"] == [["Revoked", 0]]}

    def left(self) -> list[str]:
        return [f"{one} was not collected" for one in self._mine() if "serialNumber" not in one]


def sectigo(renewal: str) -> Callable[[Path], AbstractContextManager[Place]]:
    """renewal: how the certificate after another is ordered."""

    @contextmanager
    def run(folder: Path) -> Iterator[Place]:
        with SectigoServer(folder / "journal") as server:
            config = {
                "url": f"{server.url}/api",
                "caBundle": server.ca_bundle,
                "customerURI": sectigo_server.CUSTOMER,
                "login": {"secretName": "account"},
                "organization": "Example Inc",
                "profile": "Public OV SSL",
                "renewal": renewal,
            }

            def open_books(kubectl: Kubectl, host: str) -> Books:
                secret = credential("account", login=sectigo_server.LOGIN, password=sectigo_server.PASSWORD)
                kubectl.create(secret, issuer(ISSUER_NAME, sectigo=config))
                return _SectigoBooks(server, host)

            yield Place(open_books, frozenset({"account"}))

    return run
