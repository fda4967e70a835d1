"""Requests, issuers and namespaces that come and go, one generation each hour, and the CAs that are asked."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devcluster import ControlPlane
from tests.emulators import digicert_server, sectigo_server
from tests.emulators.digicert_server import DigicertServer
from tests.emulators.sectigo_server import SectigoServer
from tests.leaks.counted import CountedOperator
from tests.support.acme import acme_issuer
from tests.support.acme_scene import HTTP
from tests.support.authorities import credential
from tests.support.contract import Call, Refusal, Reply
from tests.support.kubectl import Kubectl, condition, reader, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.operator import operator_kubeconfig
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_ports
from tests.support.revocation import CA, ISSUER, ON_DELETE
from tests.support.site import REQUEST
from tests.support.third_party import EXAMPLE, HttpCa, external, install

HOME = "residents"
_RENEW = "csr-operator.dev/renew"
_ELSEWHERE = "127.9.9.9"
"""Where nobody answers."""
_REFUSED, _SLOW = "refused", "slow"
"""Parts of names: DigiCert refuses these, and no order of those comes to an end."""
_PATIENCE = 120
"""Seconds that anything may take, on a machine that has nothing else to do."""


@dataclass
class Churn:
    """operator: for all namespaces. size: how many of each kind are in a generation."""

    cluster: ControlPlane
    operator: CountedOperator
    pebble: Pebble
    http_ca: HttpCa
    digicert: DigicertServer
    sectigo: SectigoServer
    size: int
    home: Kubectl = field(init=False)

    def __post_init__(self) -> None:
        self.home = Kubectl(self.cluster, HOME)

    @property
    def vendors(self) -> dict[str, dict[str, Any]]:
        """The issuers that stay, by name, as their spec has them."""
        digicert = {
            "url": f"{self.digicert.url}{digicert_server.BASE}",
            "caBundle": self.digicert.ca_bundle,
            "secretName": "digicert-account",
            "product": digicert_server.OV,
            "organizationId": digicert_server.ORGANIZATION,
        }
        sectigo = {
            "url": f"{self.sectigo.url}/api",
            "caBundle": self.sectigo.ca_bundle,
            "customerURI": sectigo_server.CUSTOMER,
            "login": {"secretName": "sectigo-account"},
            "organization": "Example Inc",
            "profile": "Public OV SSL",
        }
        return {
            "self-signed": {"selfSigned": {}},
            "revoking": {"ca": ISSUER},
            "manual": {"manual": {}},
            "digicert": {"digicert": digicert},
            "digicert-cancelling": {"digicert": {**digicert, "cancelPending": True}},
            "sectigo": {"sectigo": sectigo},
            "sectigo-cancelling": {"sectigo": {**sectigo, "cancelPending": True}},
        }

    def settle(self) -> None:
        """What stays: an issuer for each CA, and a request by each that signs."""
        self.create_namespace(HOME)
        self.home.create(
            CA.secret("revoking-ca"),
            credential("digicert-account", **{"api-key": digicert_server.KEY}),
            credential("sectigo-account", login=sectigo_server.LOGIN, password=sectigo_server.PASSWORD),
            *root_and_ca(),
            *(issuer(name, **spec) for name, spec in self.vendors.items()),
            acme_issuer("acme", self.pebble, HTTP),
            external(self.http_ca.branch(HOME), "example", "example-orders"),
            *(request(f"resident-{name}", name) for name in ("ca", "self-signed", "revoking", "acme", "example")),
            request("resident-short", "ca", duration="3h"),
            *(request(f"resident-{name}", name) for name in ("digicert", "sectigo", "manual")),
        )
        self.home.wait_ready("resident-short", *self._renewable(), seconds=_PATIENCE)

    def _renewable(self) -> list[str]:
        return [f"resident-{name}" for name in ("ca", "self-signed", "revoking", "acme", "example")]

    def live(self, number: int) -> None:
        """One generation comes, and goes, and an hour is over. Raises AssertionError if something did not go so."""
        generation = Generation(self, f"g{number}")
        generation.come()
        self.operator.let_pass(900)
        self._renew(number)
        generation.change()
        self.operator.let_pass(900)
        generation.go()
        self.operator.let_pass(900)

    def end(self) -> None:
        """The rest of an hour."""
        self.operator.let_pass(900)

    def _renew(self, number: int) -> None:
        before = {name: self._revision(self.home, name) for name in self._renewable()}
        for name in before:
            self.merge(self.home, REQUEST, name, {"metadata": {"annotations": {_RENEW: f"hour-{number}"}}})
        wait_until(
            f"all that stay are renewed: {before}",
            lambda: all(self._revision(self.home, name) > revision for name, revision in before.items()),
            seconds=_PATIENCE,
        )

    def merge(self, kubectl: Kubectl, kind: str, name: str, patch: Mapping[str, Any]) -> None:
        status = reader(self.cluster).merge(kind, name, kubectl.namespace, patch, "kubectl-patch")
        assert status == 200, f"{kind} {name}: {status}"

    def delete(self, kubectl: Kubectl, kind: str, name: str) -> None:
        """Without waiting until it is gone."""
        status = reader(self.cluster).delete(kind, name, kubectl.namespace)
        assert status in (200, 202), f"{kind} {name}: {status}"

    def create_namespace(self, name: str) -> None:
        Kubectl(self.cluster, "").create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @staticmethod
    def _revision(kubectl: Kubectl, name: str) -> int:
        return int(kubectl.get(REQUEST, name).get("status", {}).get("revision", 0))


class Generation:
    """Its names are never used again. It lives in three places: among the residents, whose issuers stay; in a namespace
    that is emptied, object by object; and in one that is deleted as it is."""

    def __init__(self, churn: Churn, name: str) -> None:
        self._churn, self._name = churn, name
        self._emptied = Kubectl(churn.cluster, f"{name}-emptied")
        self._deleted = Kubectl(churn.cluster, f"{name}-deleted")

    def come(self) -> None:
        """Until all that can be issued is, and all else waits, or has failed."""
        churn = self._churn
        for kubectl in (self._emptied, self._deleted):
            churn.create_namespace(kubectl.namespace)
        churn.pebble.lead(f"{self._name}-unproven.example.com", _ELSEWHERE)
        churn.home.create(*self._among_residents())
        for kubectl in (self._emptied, self._deleted):
            churn.http_ca.branch(kubectl.namespace).hang()
            kubectl.create(*self._in_place(kubectl))
        churn.operator.let_pass(30)  # orders that take a moment are looked at again
        for kubectl in (churn.home, self._emptied, self._deleted):
            good = [f"{self._name}-{what}-{n}" for what in self._good(kubectl) for n in range(churn.size)]
            kubectl.wait_ready(*good, seconds=_PATIENCE)
        wait_until("something is said of all others", lambda: not self._untold(), seconds=_PATIENCE)

    def change(self) -> None:
        """An issuer and some Secrets are deleted, requests go from one issuer to another, and specs change."""
        churn, kubectl, numbers = self._churn, self._emptied, range(self._churn.size)
        churn.delete(kubectl, "issuer", f"{self._name}-orphaning")
        secrets = [f"{self._name}-ca-{n}-tls" for n in numbers]
        uids = {secret: self._uid(secret) for secret in secrets}
        for secret in secrets:
            churn.delete(kubectl, "secret", secret)
        root = {"spec": {"issuerRef": {"name": f"{self._name}-root"}}}
        for n in numbers:
            churn.merge(kubectl, REQUEST, f"{self._name}-denied-{n}", root)
        # Each spec of an issuer may name other Secrets.
        churn.merge(kubectl, "issuer", f"{self._name}-astray", {"spec": {"ca": {"secretName": "elsewhere"}}})
        kubectl.wait_ready(*(f"{self._name}-denied-{n}" for n in numbers), seconds=_PATIENCE)
        wait_until(
            "the Secrets are there again",
            lambda: all(self._uid(secret) not in ("", uid) for secret, uid in uids.items()),
            seconds=_PATIENCE,
        )

    def go(self) -> None:
        """Until nothing of it is left."""
        churn, everywhere = self._churn, Kubectl(self._churn.cluster, "")
        churn.delete(everywhere, "namespace", self._deleted.namespace)
        for kubectl in (churn.home, self._emptied):
            for name in self._left(kubectl, REQUEST):
                churn.delete(kubectl, REQUEST, name)
        churn.operator.let_pass(60)  # what hangs gives up
        for kubectl in (churn.home, self._emptied):
            self._wait_gone(kubectl, REQUEST)
        for name in self._left(self._emptied, "issuer"):
            churn.delete(self._emptied, "issuer", name)
        for kubectl in (churn.home, self._emptied):
            self._wait_gone(kubectl, "secret", but="-account")
        churn.delete(everywhere, "namespace", self._emptied.namespace)
        for kubectl in (self._emptied, self._deleted):
            churn.http_ca.branch(kubectl.namespace).go_on()
            self._wait_no_namespace(everywhere, kubectl.namespace)

    @staticmethod
    def _wait_no_namespace(everywhere: Kubectl, name: str) -> None:
        wait_until(f"{name} is gone", lambda: not everywhere.get("namespace", name), seconds=_PATIENCE)

    def _wait_gone(self, kubectl: Kubectl, kind: str, but: str = " ") -> None:
        def is_gone() -> bool:
            return all(name.endswith(but) for name in self._left(kubectl, kind))

        try:
            wait_until("nothing is left", is_gone, seconds=_PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._left(kubectl, kind)}") from None

    def _uid(self, secret: str) -> str:
        return str(self._emptied.get("secret", secret).get("metadata", {}).get("uid", ""))

    def _left(self, kubectl: Kubectl, kind: str) -> list[str]:
        names = (obj["metadata"]["name"] for obj in kubectl.list(kind))
        return [name for name in names if name.startswith(f"{self._name}-")]

    def _good(self, kubectl: Kubectl) -> list[str]:
        """The requests that get a certificate, as `_several` calls them."""
        if kubectl is self._churn.home:
            return ["ca", "revoking", "acme", "example", "digicert", "sectigo"]
        return ["ca", "acme", "orphaned"]

    def _untold(self) -> list[str]:
        """Requests of which nothing is said yet."""
        return [
            obj["metadata"]["name"]
            for kubectl in (self._churn.home, self._emptied, self._deleted)
            for obj in kubectl.list(REQUEST)
            if obj["metadata"]["name"].startswith(f"{self._name}-") and not condition(obj, "Ready").get("reason")
        ]

    def _several(self, what: str, issuer_name: str, **spec: Any) -> Iterator[dict[str, Any]]:
        for n in range(self._churn.size):
            yield request(f"{self._name}-{what}-{n}", issuer_name, **spec)

    def _among_residents(self) -> list[dict[str, Any]]:
        slow = f"{self._name}-{_SLOW}"
        return [
            *self._several("ca", "ca", privateKey={"algorithm": "RSA"}),
            *self._several("revoking", "revoking", revocation=ON_DELETE),
            *self._several("acme", "acme"),
            *self._several("example", "example"),
            *self._several("digicert", "digicert"),
            *self._several("sectigo", "sectigo"),
            *self._several("manual", "manual"),
            *self._several("blocked", "acme", dnsNames=[f"{self._name}.blocked.example"]),
            *self._several("unproven", "acme", dnsNames=[f"{self._name}-unproven.example.com"]),
            *self._several("pending-digicert", "digicert", dnsNames=[f"{slow}-d.example.com"]),
            *self._several("cancelled-digicert", "digicert-cancelling", dnsNames=[f"{slow}-e.example.com"]),
            *self._several("pending-sectigo", "sectigo", dnsNames=[f"{slow}-s.example.com"]),
            *self._several("cancelled-sectigo", "sectigo-cancelling", dnsNames=[f"{slow}-t.example.com"]),
            *self._several("refused-digicert", "digicert", dnsNames=[f"{self._name}-{_REFUSED}.example.com"]),
            *self._several("refused-sectigo", "sectigo", dnsNames=[f"{self._name}.example.net"]),
        ]

    def _in_place(self, kubectl: Kubectl) -> list[dict[str, Any]]:
        """Issuers and requests of one namespace."""
        name, ca = self._name, {"secretName": f"{self._name}-root-tls"}
        return [
            issuer(f"{name}-root"),
            request(f"{name}-root", f"{name}-root", commonName=name, isCA=True, duration="8760h"),
            issuer(f"{name}-ca", ca=ca),
            issuer(f"{name}-orphaning", ca=ca),
            issuer(f"{name}-denying", ca=ca, policy={"default": "Deny", "rules": []}),
            issuer(f"{name}-astray", ca={"secretName": "nowhere"}),
            issuer(f"{name}-manual", manual={}),
            external(self._churn.http_ca.branch(kubectl.namespace), f"{name}-hanging"),
            acme_issuer(f"{name}-acme", self._churn.pebble, HTTP),
            *self._several("ca", f"{name}-ca"),
            *self._several("acme", f"{name}-acme", dnsNames=[f"{kubectl.namespace}.example.com"]),
            *self._several("orphaned", f"{name}-orphaning"),
            *self._several("denied", f"{name}-denying"),
            *self._several("astray", f"{name}-astray"),
            *self._several("nobodys", f"{name}-nobody"),
            *self._several("manual", f"{name}-manual"),
            *self._several("hanging", f"{name}-hanging"),
        ]


@contextmanager
def churning(cluster: ControlPlane, folder: Path, size: int) -> Iterator[Churn]:
    """An operator and its CAs."""
    (installed := folder / "installed").mkdir()
    install(EXAMPLE, installed)
    [http_port] = free_ports(1)
    with ExitStack() as stack:
        server = stack.enter_context(pebble(folder, http_port=http_port, reject_nonces=5))
        http_ca = stack.enter_context(HttpCa())
        digicert = stack.enter_context(SomeDigicert())
        sectigo = stack.enter_context(SomeSectigo())
        operator = stack.enter_context(
            CountedOperator(
                operator_kubeconfig(cluster, folder),
                folder / "operator.log",
                installed,
                acme_http_port=http_port,
                http01_for_issuers=True,
            )
        )
        churn = Churn(cluster, operator, server, http_ca, digicert, sectigo, size)
        churn.settle()
        yield churn


class SomeDigicert(DigicertServer):
    """Refuses some names, and is slow with others."""

    def answer(self, call: Call) -> Reply:
        text = str(call.body)
        if call.method == "POST" and f"{_REFUSED}." in text:
            raise Refusal(Reply(400, {"errors": [{"code": "invalid_dns_name", "message": "The name is not allowed."}]}))
        self.plan = digicert_server.after((0, "pending"), *(() if f"{_SLOW}-" in text else ((1, "issued"),)))
        return super().answer(call)


class SomeSectigo(SectigoServer):
    """Slow with some names."""

    def answer(self, call: Call) -> Reply:
        is_slow = f"{_SLOW}-" in str(call.body)
        self.steps = (("Requested", 0), *(() if is_slow else (("Applied", 0), ("Issued", 0))))
        return super().answer(call)
