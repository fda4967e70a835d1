"""What a customer of DigiCert sees: a real control plane, the operator with its own rights, CertCentral emulated."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.emulators.digicert_server import AT_ONCE, BASE, DV, KEY, ORGANIZATION, OV, DigicertServer, after
from tests.support.audit import writes
from tests.support.authorities import credential
from tests.support.bind import bind
from tests.support.contract import Damage, Reply
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.revocation import renew
from tests.support.signing import pem
from tests.support.site import REQUEST, Site, decoded, new_namespace

SLOWLY = after((0, "pending"), (1e9, "issued"))


@dataclass(frozen=True, slots=True)
class Customer:
    """issuers: `digicert` for each request that says nothing else; `spec` makes others of the same account."""

    site: Site
    server: DigicertServer
    cluster: ControlPlane

    def spec(self, **settings: Any) -> dict[str, Any]:
        config = {
            "url": f"{self.server.url}{BASE}",
            "caBundle": self.server.ca_bundle,
            "secretName": "digicert",
            "product": OV,
            "organizationId": ORGANIZATION,
            **settings,
        }
        return {"digicert": {name: value for name, value in config.items() if value is not None}}

    def order(self, request_name: str) -> dict[str, Any]:
        """The only order for the request's host."""
        host = f"{request_name}.example.com"
        (found,) = [one for one in self.server.orders if one["body"]["certificate"]["common_name"] == host]
        return found

    def wait_message(self, name: str, text: str, kind: str = "Reconciling") -> None:
        def said() -> bool:
            obj = self.site.kubectl.get(REQUEST, name)
            return text in condition(obj, kind).get("message", "")

        wait_until(f"{name} says {text!r}", said, seconds=90)


@pytest.fixture(scope="module")
def customer(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Customer]:
    folder = tmp_path_factory.mktemp("customer")
    kubectl = Kubectl(cluster, new_namespace(cluster))
    with (
        DigicertServer(folder / "journal") as server,
        OperatorProcess(operator_credentials, folder / "operator.log", "--namespace", kubectl.namespace) as operator,
    ):
        one = Customer(Site(kubectl, operator), server, cluster)
        kubectl.apply(credential("digicert", **{"api-key": KEY}), issuer("digicert", "Issuer", **one.spec()))
        kubectl.wait_ready("digicert", kind="issuer")
        yield one
        assert KEY not in (folder / "operator.log").read_text()


@pytest.fixture(autouse=True)
def quiet(customer: Customer) -> Iterator[None]:
    """Each test finds CertCentral as it comes."""
    customer.server.plan, customer.server.approvals, customer.server.txt = AT_ONCE, False, None
    yield
    customer.server.go_on()


def test_the_first_certificate(customer: Customer) -> None:
    customer.site.kubectl.apply(request("first", "digicert"))
    customer.site.kubectl.wait_ready("first")
    data = customer.site.data("first-tls")
    assert data["tls.crt"].count("BEGIN CERTIFICATE") == 2  # with its chain
    assert data["ca.crt"] == pem(customer.server.ca.root)


def test_a_pending_order_costs_no_write_and_is_issued_when_it_is_approved(customer: Customer) -> None:
    kubectl, server = customer.site.kubectl, customer.server
    server.approvals = True
    kubectl.apply(request("slow", "digicert"))
    customer.wait_message("slow", "is needs_approval: an administrator has to approve it in CertCentral")
    before = len(writes(customer.cluster, kubectl.namespace))
    looks = server.count("GET", "/status-changes$")
    wait_until("it was looked at", lambda: server.count("GET", "/status-changes$") > looks, seconds=60)
    customer.site.settle()
    mine = [call for call in writes(customer.cluster, kubectl.namespace)[before:] if call.name.startswith("slow")]
    assert mine == []
    server.approve()
    kubectl.wait_ready("slow", seconds=90)


def test_how_many_may_be_begun_in_a_minute_holds_up_none_that_is_pending(customer: Customer) -> None:
    kubectl, names = customer.site.kubectl, [f"begun-{n}" for n in range(6)]
    customer.server.plan = SLOWLY
    kubectl.apply(issuer("limited", "Issuer", **customer.spec()), *(request(name, "limited") for name in names))
    for name in names:
        customer.wait_message(name, "is pending")
    kubectl.apply(issuer("limited", "Issuer", **customer.spec(), limits={"perMinute": 1}))
    for name in names:
        customer.server.set_status(customer.order(name)["id"], "issued")
    kubectl.wait_ready(*names, seconds=90)


def test_a_domain_that_is_to_be_validated_is_told_with_the_record_to_set(customer: Customer) -> None:
    spec = customer.spec(product=DV, organizationId=None, dcvMethod="dns-txt-token")
    customer.server.plan = SLOWLY
    customer.site.kubectl.apply(issuer("dv", "Issuer", **spec), request("validated", "dv"))
    wait_until("it is ordered", lambda: customer.server.count("POST", f"/{DV}$"))
    random = customer.order("validated")["random"]
    customer.wait_message("validated", f'set the TXT record _dnsauth.validated.example.com to "{random}"')
    customer.server.set_status(customer.order("validated")["id"], "issued")
    customer.site.kubectl.wait_ready("validated", seconds=90)


def test_domains_are_validated_by_the_operator_s_own_records(customer: Customer, tmp_path: Path) -> None:
    with bind(tmp_path, ("example.com",)) as dns:
        customer.server.txt = lambda name: set(dns.records(name))
        updates = {
            "nameserver": dns.nameserver,
            "tsigKeyName": dns.key_name,
            "tsigSecretSecretRef": {"name": "tsig", "key": "secret"},
        }
        own = {"recursiveNameservers": [dns.nameserver], "recursiveNameserversOnly": True}
        spec = customer.spec(
            product=DV, organizationId=None, dcvMethod="dns-txt-token", dns01={"rfc2136": updates, **own}
        )
        customer.site.kubectl.apply(
            credential("tsig", secret=dns.secret), issuer("own-dns", "Issuer", **spec), request("by-dns", "own-dns")
        )
        customer.site.kubectl.wait_ready("by-dns")
        assert dns.records("_dnsauth.by-dns.example.com") == []
        assert "_dnsauth.by-dns.example.com" in dns.log.read_text()


def test_a_rejected_order_is_told(customer: Customer) -> None:
    customer.server.plan = SLOWLY
    customer.site.kubectl.apply(request("rejected", "digicert"))
    customer.wait_message("rejected", "is pending")
    number = customer.order("rejected")["id"]
    customer.server.set_status(number, "rejected")
    stalled = customer.site.wait_condition("rejected", "Stalled", "Rejected")
    assert stalled["message"].startswith(f"DigiCert order {number}: the order was rejected: see why in CertCentral")
    customer.server.plan = AT_ONCE
    changed = request("rejected", "digicert", dnsNames=["rejected.example.com", "www.example.com"])
    customer.site.kubectl.apply(changed)  # as the message says
    customer.site.kubectl.wait_ready("rejected")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("limited", {"what": Reply(429, {"errors": [{"code": "request_limit_exceeded"}]}, {"Retry-After": "1"})}),
        ("failing", {"what": Reply(503, b"maintenance")}),
        ("lost", {"what": Damage.LOST, "carried_out": True}),
        ("cut", {"what": Damage.TRUNCATED}),
    ],
)
def test_what_passes_is_got_over(customer: Customer, name: str, fault: dict[str, Any]) -> None:
    customer.server.fail(method="POST", path="/order/", **fault)
    customer.site.kubectl.apply(request(name, "digicert"))
    customer.site.kubectl.wait_ready(name)
    assert customer.order(name)["status"] == "issued"


def test_orders_outlive_a_restart_of_either_side(customer: Customer) -> None:
    customer.server.plan = after((0, "pending"), (15, "issued"))
    names = [f"kept-{n}" for n in range(5)]
    before = len(customer.server.orders)
    customer.site.kubectl.apply(*(request(name, "digicert") for name in names))
    wait_until("they are ordered", lambda: len(customer.server.orders) == before + 5)
    with customer.site.operator_away():
        customer.server.stop()
    customer.server.start()
    customer.site.kubectl.wait_ready(*names, seconds=90)
    for name in names:
        assert customer.order(name)["status"] == "issued"


def test_a_deleted_request_cancels_its_order_if_the_issuer_says_so(customer: Customer) -> None:
    kubectl, server = customer.site.kubectl, customer.server
    server.plan = SLOWLY
    kubectl.apply(
        issuer("cancelling", "Issuer", **customer.spec(cancelPending=True)),
        request("cancelled", "cancelling"),
        request("left", "digicert"),
    )
    for name in ("cancelled", "left"):
        customer.wait_message(name, "is pending")
        kubectl("delete", REQUEST, name, "--timeout=30s")
    wait_until("it is cancelled", lambda: customer.order("cancelled")["status"] == "canceled")
    customer.site.settle()
    assert customer.order("left")["status"] == "pending"
    wait_until("nothing is left", lambda: not any(_is_about(one, "cancelled") for one in kubectl.list("secrets")))


def test_a_renewal_is_a_reissue_where_the_issuer_prefers_it(customer: Customer) -> None:
    spec = customer.spec(renewal="Reissue", validity={"years": 3})
    customer.site.kubectl.apply(issuer("plan", "Issuer", **spec), request("renewed", "plan"))
    customer.site.kubectl.wait_ready("renewed")
    renew(customer.site, "renewed")
    customer.site.wait_status("renewed", revision=2)
    assert [one["status"] for one in customer.order("renewed")["certificates"]] == ["issued", "issued"]


def test_one_certificate_is_revoked_when_its_request_is_deleted(customer: Customer) -> None:
    kubectl = customer.site.kubectl
    kubectl.apply(request("revoked", "digicert", revocation={"onDelete": True}))
    kubectl.wait_ready("revoked")
    kubectl("delete", REQUEST, "revoked", "--timeout=30s")
    found = customer.order("revoked")
    assert [(one["status"], one["reason"]) for one in found["certificates"]] == [("revoked", "cessationOfOperation")]
    assert found["status"] == "issued"


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("no-product", {"product": "ssl_gold"}, "the account's products: private_ssl_flex (Private SSL OV), ssl_basic"),
        ("no-organization", {"organizationId": 1}, "the account's organizations: 117483 (Example Inc.)"),
        ("no-secret", {"secretName": "missing"}, "/missing, named in spec.digicert.secretName, does not exist"),
    ],
)
def test_an_issuer_that_cannot_order_says_what_is_wrong(
    customer: Customer, name: str, settings: dict[str, Any], says: str
) -> None:
    customer.site.kubectl.apply(issuer(name, "Issuer", **customer.spec(**settings)))

    def message() -> str:
        return str(condition(customer.site.kubectl.get("issuer", name), "Ready").get("message", ""))

    wait_until("it says so", lambda: says in message())
    assert condition(customer.site.kubectl.get("issuer", name), "Ready")["status"] == "False"


def test_a_key_that_is_exchanged_takes_the_waiting_requests_along(customer: Customer) -> None:
    kubectl = customer.site.kubectl
    kubectl.apply(credential("own", **{"api-key": "AN-OLD-KEY"}))
    kubectl.apply(issuer("own", "Issuer", **customer.spec(secretName="own")), request("waiting", "own"))

    def message() -> str:
        return str(condition(kubectl.get("issuer", "own"), "Ready").get("message", ""))

    wait_until("the key is refused", lambda: "DigiCert refuses the API key" in message())
    assert "AN-OLD-KEY" not in message()
    kubectl.apply(credential("own", **{"api-key": KEY}))
    kubectl.wait_ready("waiting")


def _is_about(secret: dict[str, Any], name: str) -> bool:
    return any(owner["name"] == name for owner in secret["metadata"].get("ownerReferences", ())) and bool(
        decoded(secret)
    )
