"""The CAs of the crash matrix: one for each way in which a backend makes up for an answer that it did not hear."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from tests.crashes.place import ISSUER_NAME, Books, CaUnderTest, Place, serial
from tests.crashes.vendors import cert_central, digicert_one, sectigo
from tests.emulators import digicert_server
from tests.support.acme import acme_issuer, rfc2136, rfc2136_secret
from tests.support.acme_proxy import AcmeProxy
from tests.support.bind import Bind, bind
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer
from tests.support.openssl import OpensslCa
from tests.support.pebble import Pebble, pebble
from tests.support.revocation import CA, GROUP, ISSUER, crl_text
from tests.support.site import REQUEST, decoded
from tests.support.third_party import EXAMPLE, HttpCa, external, install

IMPORT = f"{GROUP}/import"


@dataclass(frozen=True)
class _ListBooks(Books):
    kubectl: Kubectl

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        text = crl_text(decoded(self.kubectl.get("secret", "crl"))["ca.crl"])
        return {number.lstrip("0").upper() for number in re.findall(r"Serial Number: ([0-9A-F]+)", text)}


@contextmanager
def _own_ca(folder: Path) -> Iterator[Place]:
    def open_books(kubectl: Kubectl, host: str) -> Books:
        kubectl.create(CA.secret("revoking-ca"), issuer(ISSUER_NAME, ca=ISSUER))
        return _ListBooks(kubectl)

    yield Place(open_books, frozenset({"revoking-ca", "crl"}))


@dataclass(frozen=True)
class _HttpBooks(Books):
    ca: HttpCa
    name: str

    def orders(self) -> int | None:
        return len(self.ca.branch(self.name).orders)

    def issued(self) -> set[str] | None:
        chains = (chain for _, chain in self.ca.branch(self.name).orders.values())
        return {serial(x509.load_pem_x509_certificates(chain.encode())[0]) for chain in chains}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return {number.lstrip("0").upper() for number in self.ca.branch(self.name).revoked}


@contextmanager
def _http_ca(folder: Path) -> Iterator[Place]:
    (installed := folder / "installed").mkdir()
    install(EXAMPLE, installed)
    with HttpCa() as ca:

        def open_books(kubectl: Kubectl, host: str) -> Books:
            kubectl.create(external(ca.branch(kubectl.namespace), ISSUER_NAME, "example-orders"))
            return _HttpBooks(ca, kubectl.namespace)

        yield Place(open_books, installed=installed)


@dataclass(frozen=True)
class _AcmeBooks(Books):
    place: "_AcmePlace"
    host: str

    def orders(self) -> int | None:
        return sum(self.host in identifiers for identifiers in self.place.proxy.placed)

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


@dataclass(frozen=True)
class _OfficeBooks(Books):
    """Of a person, who signs each CSR that is shown once, and then imports the chain until it is taken."""

    ca: OpensslCa
    kubectl: Kubectl
    chains: dict[str, str] = field(default_factory=dict)

    def orders(self) -> int | None:
        return len(self.chains)

    def issued(self) -> set[str] | None:
        chains = (x509.load_pem_x509_certificates(chain.encode()) for chain in self.chains.values())
        return {serial(leaf) for leaf, *_ in chains}

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        return set()

    def attend(self) -> None:
        for each in self.kubectl.list(REQUEST):
            if not (csr := each.get("status", {}).get("csr")):
                continue
            chain = self.chains.setdefault(csr, "") or self.ca.sign(csr)
            self.chains[csr] = chain
            if each["metadata"].get("annotations", {}).get(IMPORT) != chain:
                patch = json.dumps({"metadata": {"annotations": {IMPORT: chain}}})
                self.kubectl("patch", REQUEST, each["metadata"]["name"], "--type=merge", "-p", patch)


@contextmanager
def _office(folder: Path) -> Iterator[Place]:
    def open_books(kubectl: Kubectl, host: str) -> Books:
        ca = OpensslCa.create(folder / kubectl.namespace)
        kubectl.create(issuer(ISSUER_NAME, manual={"caBundle": ca.certificate}))
        return _OfficeBooks(ca, kubectl)

    yield Place(open_books, revokes=False)


_SLOWLY = digicert_server.after((0, "pending"), (1, "issued"))

CAS = (
    CaUnderTest("ca", "a repeat is harmless", _own_ca),
    CaUnderTest("external", "the CA knows the order by its key", _http_ca),
    CaUnderTest("digicert", "the order is looked up", cert_central(digicert_server.AT_ONCE)),
    CaUnderTest("digicertOne", "the certificate is looked up", digicert_one),
    CaUnderTest("manual", "a person signs, who is shown the same CSR", _office),
    CaUnderTest("digicert-pending", "the order is looked up, and waited for", cert_central(_SLOWLY), takes_long=True),
    CaUnderTest("sectigo", "the order is looked for, for a minute", sectigo("Enroll"), takes_long=True, at_once=6),
    CaUnderTest("sectigo-renew", "the renewal is looked for as well", sectigo("Renew"), takes_long=True, at_once=6),
    CaUnderTest("acme", "the order is looked up, and takes many steps", _acme),
)
