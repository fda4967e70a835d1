"""The backends that the suite is run for: a later one is one more entry of BACKENDS."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from csr_operator.pki.verify import SubjectRule
from tests.conformance.cases import Feature
from tests.emulators import digicert_server, sectigo_server
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.emulators.digicert_server import DigicertServer
from tests.emulators.sectigo_server import SectigoServer
from tests.support.acme import AcmeServer, acme_issuer, rfc2136, rfc2136_secret
from tests.support.acme_proxy import AcmeProxy
from tests.support.authorities import credential
from tests.support.bind import Bind, bind
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer, root_and_ca
from tests.support.openbao import OpenBao, openbao
from tests.support.pebble import pebble
from tests.support.site import Site
from tests.support.step_ca import step_ca

EVERYTHING = frozenset(Feature)
_VALIDATED = frozenset({Feature.LONG_NAMES, Feature.RSA, Feature.USERS_CSR, Feature.WILDCARDS})
"""What every ACME CA has."""


@dataclass(frozen=True, slots=True)
class BackendUnderTest:
    """install: apply the issuer in the site's namespace, and run whatever it needs meanwhile; gives its name.

    features: what the CA behind it can do. What it lacks is not asked of it, and shown so in the matrix.
    subject: how far the CA writes the subject itself. rounds_up: by how much it grants more than was asked for.
    sends_root: among the certificates that it answers with. Without it, `ca.crt` is the highest that there is.
    names_itself: where no subject is asked for, one of the names is its common name.
    """

    name: str
    install: Callable[[Site], AbstractContextManager[str]]
    features: frozenset[Feature] = EVERYTHING
    subject: SubjectRule = SubjectRule.EXACT
    rounds_up: timedelta = timedelta(minutes=1)
    names_itself: bool = False
    sends_root: bool = True


@contextmanager
def _self_signed(site: Site) -> Iterator[str]:
    site.kubectl.apply(issuer("own"))
    yield "own"


@contextmanager
def _ca(site: Site) -> Iterator[str]:
    site.kubectl.apply(*root_and_ca())
    yield "ca"


@contextmanager
def _digicert(site: Site) -> Iterator[str]:
    plan = digicert_server.after((0, "pending"), (1, "issued"))
    with DigicertServer(plan=plan) as server:
        config = {
            "url": f"{server.url}{digicert_server.BASE}",
            "caBundle": server.ca_bundle,
            "secretName": "digicert",
            "product": digicert_server.PRIVATE,
            "organizationId": digicert_server.ORGANIZATION,
        }
        yield _with_key(site.kubectl, "digicert", config)


@contextmanager
def _digicert_one(site: Site) -> Iterator[str]:
    with DigicertOneServer() as server:
        config = {
            "url": server.url,
            "caBundle": server.ca_bundle,
            "secretName": "digicert",
            "profileId": server.PROFILE,
        }
        yield _with_key(site.kubectl, "digicertOne", config)


@contextmanager
def _sectigo(site: Site) -> Iterator[str]:
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
        site.kubectl.apply(credential("sectigo", **login), issuer("sectigo", "Issuer", sectigo=config))
        yield "sectigo"


@contextmanager
def _pebble(site: Site) -> Iterator[str]:
    with (
        _zone() as (folder, dns),
        pebble(folder, dns_port=dns.port, http_port=site.operator.acme_port) as server,
        AcmeProxy(server, like_lets_encrypt=True) as proxy,
    ):
        yield _acme(site, server, dns, directory=proxy.directory, enableDurationFeature=True)
        assert proxy.repeated == [], "a challenge was told of twice"


@contextmanager
def _step_ca(site: Site) -> Iterator[str]:
    with (
        _zone() as (folder, dns),
        step_ca(folder, dns_port=dns.port, http_port=site.operator.acme_port) as server,
    ):
        yield _acme(site, server, dns, enableDurationFeature=True)


@contextmanager
def _openbao(site: Site) -> Iterator[str]:
    with _zone() as (folder, dns), openbao(folder, dns_port=dns.port) as server:
        yield _acme(site, server, dns)


@contextmanager
def _vault(site: Site) -> Iterator[str]:
    with TemporaryDirectory() as folder, openbao(Path(folder), dns_port=53) as server:
        names = {"allow_any_name": True, "allowed_uri_sans": "*", "allowed_other_sans": "*"}
        server.write("pki/roles/any", key_type="any", require_cn=False, **names)
        yield _signed_at(site, server, "pki/sign/any")


@contextmanager
def _vault_verbatim(site: Site) -> Iterator[str]:
    with TemporaryDirectory() as folder, openbao(Path(folder), dns_port=53) as server:
        yield _signed_at(site, server, "pki/sign-verbatim")


def _signed_at(site: Site, server: OpenBao, path: str) -> str:
    token = server.auth("auth/token/create", policies=["root"])["client_token"]
    config = {
        "server": server.url,
        "caBundle": server.ca_file.read_text(),
        "path": path,
        "auth": {"token": {"secretName": "vault"}},
    }
    site.kubectl.apply(credential("vault", token=token), issuer("vault", "Issuer", vault=config))
    return "vault"


@contextmanager
def _zone() -> Iterator[tuple[Path, Bind]]:
    """A folder, and the DNS server with the names of the cases."""
    with TemporaryDirectory() as folder, bind(Path(folder), ["example.com"]) as dns:
        yield Path(folder), dns


def _acme(site: Site, server: AcmeServer, dns: Bind, **fields: Any) -> str:
    """The CA looks at the DNS records of names, and connects to the operator for addresses."""
    solvers = (rfc2136(dns), {"http01": {"selfCheck": False}})
    site.kubectl.apply(rfc2136_secret(dns), acme_issuer("acme", server, *solvers, **fields))
    return "acme"


def _with_key(kubectl: Kubectl, backend: str, config: dict[str, Any]) -> str:
    kubectl.apply(
        credential("digicert", **{"api-key": digicert_server.KEY}), issuer("digicert", "Issuer", **{backend: config})
    )
    return "digicert"


BACKENDS = (
    # Signs with the key of the certificate, which it does not have for somebody else's CSR.
    BackendUnderTest(
        "selfSigned",
        _self_signed,
        EVERYTHING - {Feature.USERS_CSR, Feature.LONG_NAMES},
        rounds_up=timedelta(minutes=6),
        names_itself=True,
    ),
    BackendUnderTest("ca", _ca),
    # Emulated from published documents, not verified by the vendor. Certificates for TLS that end with a day; their
    # subject has what DigiCert validated, and always a common name that is among the alternative names as well.
    BackendUnderTest(
        "digicert",
        _digicert,
        frozenset(
            {
                Feature.IP_ADDRESSES,
                Feature.ANY_ADDRESS,
                Feature.WILDCARDS,
                Feature.RSA,
                Feature.USAGES,
                Feature.USERS_CSR,
            }
        ),
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
        frozenset(
            {
                Feature.IP_ADDRESSES,
                Feature.ANY_ADDRESS,
                Feature.WILDCARDS,
                Feature.RSA,
                Feature.USAGES,
                Feature.USERS_CSR,
            }
        ),
        SubjectRule.CA_DECIDES,
    ),
    # A real server. A role has no subject but a common name, and decides on usages; sign-verbatim does what is asked.
    # Where there are other names and no subject, both leave the names uncritical (RFC 5280, section 4.2.1.6).
    BackendUnderTest("vault (OpenBao)", _vault, EVERYTHING - {Feature.CA, Feature.OTHER_NAMES}, SubjectRule.CA_DECIDES),
    BackendUnderTest("vault (OpenBao, verbatim)", _vault_verbatim, EVERYTHING - {Feature.CA, Feature.OTHER_NAMES}),
    # Real servers, which look at the DNS records of names and connect to addresses. They leave out the subject, but for
    # a common name, which has to be an alternative name as well: what is alone a common name becomes one. A proxy has
    # Pebble behave as Let's Encrypt's own software does (challenges, shared orders), and name URLs without its host.
    BackendUnderTest(
        "acme (Pebble)",
        _pebble,
        _VALIDATED | {Feature.DURATION, Feature.IP_ADDRESSES},
        SubjectRule.SUBSET,
        sends_root=False,
    ),
    BackendUnderTest(
        "acme (step-ca)",
        _step_ca,
        _VALIDATED | {Feature.DURATION, Feature.ED25519, Feature.IP_ADDRESSES, Feature.USAGES},
        SubjectRule.SUBSET,
        sends_root=False,
    ),
    # Connects to no port but 80 for an address, takes no duration, and certifies servers alone without a role that says
    # otherwise.
    BackendUnderTest("acme (OpenBao)", _openbao, _VALIDATED | {Feature.ED25519}, SubjectRule.SUBSET),
)
