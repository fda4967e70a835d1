"""An operator and an ACME CA that validates for real, and what a user does with them."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from devcluster import ControlPlane
from tests.support.acme import acme_issuer, rfc2136_secret
from tests.support.acme_proxy import AcmeProxy
from tests.support.bind import Bind, bind
from tests.support.kubectl import Kubectl, condition
from tests.support.operator import OperatorProcess
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_ports
from tests.support.site import REQUEST, Site, new_namespace

HTTP: dict[str, Any] = {"http01": {"selfCheck": False}}
"""The names are known to the DNS server of the tests alone."""


@dataclass(frozen=True)
class Scene:
    """An operator and an ACME CA. pebble: connects to the operator for http-01, and asks `bind` for records.

    proxy: the same CA, with faults. programs: the folder of those that issuers may have run.
    """

    cluster: ControlPlane
    site: Site
    pebble: Pebble
    bind: Bind
    proxy: AcmeProxy
    programs: Path

    @property
    def kubectl(self) -> Kubectl:
        return self.site.kubectl

    def leaf(self, name: str) -> x509.Certificate:
        return self.chain(name)[0]

    def ready(self, name: str) -> x509.Certificate:
        """Wait until the request is Ready; returns its certificate."""

        def is_ready() -> bool:
            return condition(self.kubectl.get(REQUEST, name), "Ready").get("status") == "True"

        try:
            self.site.wait(f"{name} is Ready", is_ready, seconds=60)
        except AssertionError as error:
            raise AssertionError(f"{self.site.status(name).get('conditions')}: {error}") from None
        return self.leaf(name)

    def record_is_gone(self, name: str) -> None:
        """Wait until BIND shows no TXT record there."""
        self.site.wait("the record is gone", lambda: not self.bind.records(name))

    def chain(self, name: str) -> list[x509.Certificate]:
        data = self.kubectl.get("secret", f"{name}-tls")["data"]
        return x509.load_pem_x509_certificates(base64.b64decode(data["tls.crt"]))

    def placed(self, name: str) -> int:
        """How many orders for that name came through the proxy, and were taken."""
        return sum(name in identifiers for identifiers in self.proxy.placed)

    def orders_of(self, name: str) -> list[str]:
        """The Secrets of the request's orders under way."""
        secrets = self.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
        return [each["metadata"]["name"] for each in secrets if each["metadata"]["name"].startswith(f"{name}-")]

    def apply_issuer(self, name: str, *solvers: dict[str, Any], **fields: Any) -> None:
        self.kubectl.apply(acme_issuer(name, self.pebble, *solvers, **fields))

    def issuer(self, name: str, *solvers: dict[str, Any], **fields: Any) -> None:
        """Apply an issuer, and wait until it is ready."""
        self.apply_issuer(name, *solvers, **fields)
        self.kubectl.wait_ready(name, kind="issuer")


@contextmanager
def running_scene(
    cluster: ControlPlane, credentials: Path, folder: Path, *, settable: bool = False, **server_options: Any
) -> Iterator[Scene]:
    """settable: as of OperatorProcess. server_options: of `pebble`."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    (http_port,) = free_ports(1)
    (programs := folder / "programs").mkdir()
    arguments = (
        *("--namespace", kubectl.namespace, "--acme-http-address", f"127.0.0.1:{http_port}"),
        *("--dns-programs", str(programs), "--http01-issuers", "All"),
    )
    with (
        bind(folder, ["example.com"]) as dns,
        pebble(folder, dns_port=dns.port, http_port=http_port, **server_options) as server,
        AcmeProxy(server) as proxy,
        OperatorProcess(credentials, folder / "operator.log", *arguments, settable=settable) as operator,
    ):
        kubectl.apply(rfc2136_secret(dns))
        yield Scene(cluster, Site(kubectl, operator), server, dns, proxy, programs)


def names(certificate: x509.Certificate) -> set[str]:
    """DNS names and IP addresses."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}
