"""The backends that the suite is run for: a later one is one more entry of BACKENDS."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from csr_operator.pki.verify import SubjectRule
from tests.conformance.cases import Feature
from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer, root_and_ca
from tests.vendors import digicert_server, sectigo_server
from tests.vendors.digicert_one_server import DigicertOneServer
from tests.vendors.digicert_server import DigicertServer
from tests.vendors.sectigo_server import SectigoServer

EVERYTHING = frozenset(Feature)


@dataclass(frozen=True, slots=True)
class BackendUnderTest:
    """install: apply the issuer in kubectl's namespace, and run whatever it needs meanwhile; gives its name.

    features: what the CA behind it can do. What it lacks is not asked of it, and shown so in the matrix.
    subject: how far the CA writes the subject itself. rounds_up: by how much it grants more than was asked for.
    """

    name: str
    install: Callable[[Kubectl], AbstractContextManager[str]]
    features: frozenset[Feature] = EVERYTHING
    subject: SubjectRule = SubjectRule.EXACT
    rounds_up: timedelta = timedelta(minutes=1)


@contextmanager
def _self_signed(kubectl: Kubectl) -> Iterator[str]:
    kubectl.apply(issuer("own"))
    yield "own"


@contextmanager
def _ca(kubectl: Kubectl) -> Iterator[str]:
    kubectl.apply(*root_and_ca())
    yield "ca"


@contextmanager
def _digicert(kubectl: Kubectl) -> Iterator[str]:
    plan = digicert_server.after((0, "pending"), (1, "issued"))
    with DigicertServer(plan=plan) as server:
        config = {
            "url": f"{server.url}{digicert_server.BASE}",
            "caBundle": server.ca_bundle,
            "secretName": "digicert",
            "product": digicert_server.PRIVATE,
            "organizationId": digicert_server.ORGANIZATION,
        }
        yield _with_key(kubectl, "digicert", config)


@contextmanager
def _digicert_one(kubectl: Kubectl) -> Iterator[str]:
    with DigicertOneServer() as server:
        config = {
            "url": server.url,
            "caBundle": server.ca_bundle,
            "secretName": "digicert",
            "profileId": server.PROFILE,
        }
        yield _with_key(kubectl, "digicertOne", config)


@contextmanager
def _sectigo(kubectl: Kubectl) -> Iterator[str]:
    with SectigoServer() as server:
        config = {
            "url": f"{server.url}/api",
            "caBundle": server.ca_bundle,
            "customerURI": sectigo_server.CUSTOMER,
            "login": {"secretName": "sectigo"},
            "organization": "Example Inc",
            "profile": "Public OV SSL",
        }
        login = {"login": sectigo_server.LOGIN, "password": sectigo_server.PASSWORD}
        kubectl.apply(opaque("sectigo", **login), issuer("sectigo", "Issuer", sectigo=config))
        yield "sectigo"


def _with_key(kubectl: Kubectl, backend: str, config: dict[str, Any]) -> str:
    kubectl.apply(
        opaque("digicert", **{"api-key": digicert_server.KEY}), issuer("digicert", "Issuer", **{backend: config})
    )
    return "digicert"


BACKENDS = (
    # Signs with the key of the certificate, which it does not have for somebody else's CSR.
    BackendUnderTest("selfSigned", _self_signed, EVERYTHING - {Feature.USERS_CSR}),
    BackendUnderTest("ca", _ca),
    # Emulated from published documents, not verified by the vendor. Certificates for TLS that end with a day; their
    # subject has what DigiCert validated, and always a common name that is among the alternative names as well.
    BackendUnderTest(
        "digicert",
        _digicert,
        frozenset({Feature.IP_ADDRESSES, Feature.WILDCARDS, Feature.RSA, Feature.USAGES, Feature.USERS_CSR}),
        SubjectRule.CA_DECIDES,
        timedelta(days=1),
    ),
    # As above. Usages and CA certificates are the profile's to decide; the API has no field for custom other names.
    BackendUnderTest(
        "digicertOne",
        _digicert_one,
        EVERYTHING - {Feature.CA, Feature.OTHER_NAMES},
    ),
    # As above. Certificates for TLS with the terms of the profile, and with a subject as digicert's.
    BackendUnderTest(
        "sectigo",
        _sectigo,
        frozenset({Feature.IP_ADDRESSES, Feature.WILDCARDS, Feature.RSA, Feature.USAGES, Feature.USERS_CSR}),
        SubjectRule.CA_DECIDES,
    ),
)
