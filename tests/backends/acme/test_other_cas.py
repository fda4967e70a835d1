"""ACME at step-ca and at OpenBao: without ARI, profiles and terms of service, and with ways of their own."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient, Identifier, Order, Refused, challenges
from csr_operator.api.names import MANAGER
from devcluster import ControlPlane
from tests.support.acme import AcmeServer, acme_issuer, rfc2136, rfc2136_secret
from tests.support.acme_scene import HTTP, names
from tests.support.authorities import credential
from tests.support.bind import Bind, bind
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import request
from tests.support.openbao import OpenBao, openbao
from tests.support.operator import OperatorProcess
from tests.support.relay import relay
from tests.support.revocation import renew
from tests.support.sessions import session_trusting
from tests.support.site import REQUEST, Site, new_namespace
from tests.support.step_ca import step_ca

HTTP_ADDRESS = "127.0.80.1"
"""Where OpenBao, which connects to no port but 80, finds what answers http-01."""


ORDER = "csr-operator.dev/order"
"""The annotation with the URL of an order under way."""


class Ca(AcmeServer, Protocol):
    def revoked(self) -> set[int]: ...


@dataclass(frozen=True)
class Place:
    """An operator, and a CA that validates for real. A name below `http` is at the operator's listener for http-01."""

    site: Site
    ca: Ca
    dns: Bind
    http: str

    @property
    def kubectl(self) -> Kubectl:
        return self.site.kubectl

    def issuer(self, name: str, *solvers: dict[str, Any], **fields: Any) -> None:
        self.kubectl.apply(acme_issuer(name, self.ca, *solvers, **fields))
        self.kubectl.wait_ready(name, kind="issuer")

    def ready(self, name: str) -> x509.Certificate:
        self.kubectl.wait_ready(name, seconds=60)
        return self.leaf(name)

    def leaf(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificates(self.site.data(f"{name}-tls")["tls.crt"].encode())[0]


@pytest.fixture(scope="module", params=["step-ca", "OpenBao"])
def place(
    request: pytest.FixtureRequest,
    cluster: ControlPlane,
    operator_credentials: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("other-ca")
    kubectl = Kubectl(cluster, new_namespace(cluster))
    with ExitStack() as stack:
        dns = stack.enter_context(bind(folder, ["example.com"]))
        arguments = ("--namespace", kubectl.namespace, "--http01-issuers", "All")
        operator = stack.enter_context(OperatorProcess(operator_credentials, folder / "operator.log", *arguments))
        ca: Ca
        if request.param == "step-ca":
            ca = stack.enter_context(step_ca(folder, dns_port=dns.port, http_port=operator.acme_port))
        else:
            ca = stack.enter_context(openbao(folder, dns_port=dns.port))
            dns.add("*.port80.example.com", "A", HTTP_ADDRESS)
        kubectl.apply(rfc2136_secret(dns))
        yield Place(Site(kubectl, operator), ca, dns, "port80.example.com")


@pytest.fixture
def http_port(place: Place) -> Iterator[None]:
    """Have the operator's listener be where the CA connects to."""
    with ExitStack() as stack:
        if isinstance(place.ca, OpenBao):
            try:
                stack.enter_context(relay((HTTP_ADDRESS, 80), ("127.0.0.1", place.site.operator.acme_port)))
            except AssertionError:
                pytest.skip(f"OpenBao connects to port 80 alone, and {HTTP_ADDRESS}:80 is not available here")
        yield


@pytest.fixture
async def client(place: Place) -> AsyncIterator[AcmeClient]:
    """With an account."""
    async with session_trusting(place.ca.ca_file) as session:
        found = AcmeClient(session, place.ca.directory, ec.generate_private_key(ec.SECP256R1()))
        await found.new_account(terms_agreed=True)
        yield found


async def issued(client: AcmeClient, dns: Bind, name: str) -> Order:
    order = await client.new_order([Identifier("dns", name)])
    authorization = await client.authorization(order.authorizations[0])
    challenge = next(each for each in authorization.challenges if each.type == "dns-01")
    dns.add(challenges.dns_name(name), "TXT", challenges.dns_value(challenge.token, client.key))
    await client.respond(challenge)
    async with asyncio.timeout(30):
        while order.status == "pending":
            await asyncio.sleep(0.1)
            order = await client.order(order.url)
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = csr.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
    order = await client.finalize(order, csr.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))
    assert order.status == "valid"
    return order


@pytest.mark.usefixtures("http_port")
def test_http01(place: Place, unique_name: str) -> None:
    place.issuer(unique_name, HTTP)
    place.kubectl.apply(request(unique_name, unique_name, dnsNames=[f"{unique_name}.{place.http}"]))

    assert names(place.ready(unique_name)) == {f"{unique_name}.{place.http}"}


def test_dns01_renewal_and_revocation_with_the_request(place: Place, unique_name: str) -> None:
    place.issuer(unique_name, rfc2136(place.dns))
    host = f"{unique_name}.example.com"
    asked = request(unique_name, unique_name, dnsNames=[f"*.{host}", host], revocation={"onDelete": True})
    place.kubectl.apply(asked)
    first = place.ready(unique_name)
    assert names(first) == {f"*.{host}", host}
    assert place.dns.records(f"_acme-challenge.{host}") == []

    renew(place.site, unique_name)
    wait_until("the certificate is renewed", lambda: place.leaf(unique_name).serial_number != first.serial_number)
    second = place.leaf(unique_name)
    assert names(second) == {f"*.{host}", host}
    assert second.public_key() != first.public_key()

    place.kubectl("delete", REQUEST, unique_name)
    wait_until("the certificate is revoked", lambda: second.serial_number in place.ca.revoked())


def test_what_keeps_a_name_from_being_validated_is_told_while_the_ca_looks_again(
    place: Place, unique_name: str
) -> None:
    """Nothing answers there: neither of them gives a challenge up for that."""
    where = f"127.0.{uuid.uuid4().int % 200 + 30}.9"
    place.dns.add(f"{unique_name}.example.com", "A", where)
    place.issuer(unique_name, HTTP)
    place.kubectl.apply(request(unique_name, unique_name))

    def told() -> str | None:
        message = str(condition(place.kubectl.get(REQUEST, unique_name), "Ready").get("message", ""))
        return message if "so far" in message else None

    message = wait_until("the condition says what is wrong", told)
    assert message.startswith(
        f"waiting for 127.0.0.1 to validate {unique_name}.example.com; so far, {unique_name}.example.com: "
    )


def test_a_key_that_the_ca_does_not_change_is_told(place: Place, unique_name: str) -> None:
    place.issuer(unique_name, rfc2136(place.dns))
    place.kubectl.apply(acme_issuer(unique_name, place.ca, rfc2136(place.dns), privateKeyRotation="1"))
    message = place.site.wait_condition(unique_name, "Ready", "Misconfigured", "issuer")["message"]
    assert message.startswith("127.0.0.1 does not change the key of an account")

    place.issuer(unique_name, rfc2136(place.dns))
    place.kubectl.apply(request(unique_name, unique_name))
    place.ready(unique_name)


async def test_an_order_is_looked_for_without_harm(place: Place, unique_name: str, client: AcmeClient) -> None:
    """step-ca answers every order of an account with status 500 once its list was read while nothing was pending."""
    await issued(client, place.dns, f"{unique_name}.example.com")
    assert await client.orders() == []
    assert (await client.new_order([Identifier("dns", f"{unique_name}.example.com")])).status == "pending"


async def test_an_order_that_failed_can_still_be_read(place: Place, unique_name: str, client: AcmeClient) -> None:
    order = await client.new_order([Identifier("dns", f"{unique_name}.example.com")])
    with suppress(Refused):  # step-ca has nothing of the kind
        await client.deactivate_authorization(order.authorizations[0])
    assert (await client.order(order.url)).status == ("invalid" if isinstance(place.ca, OpenBao) else "pending")


@pytest.mark.parametrize("kept", [True, False], ids=["lost-by-the-ca", "not-kept-by-the-operator"])
def test_an_order_that_is_gone_is_placed_again(place: Place, unique_name: str, kept: bool) -> None:
    """Of an order that they do not know, both say that the message is malformed; neither shows the account's orders."""
    place.issuer(
        unique_name, {"dns01": {"recursiveNameservers": [place.dns.nameserver], "recursiveNameserversOnly": True}}
    )
    place.kubectl.apply(request(unique_name, unique_name))

    def order() -> tuple[str, str]:
        """The Secret that it is kept in, and its URL."""
        found = place.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
        mine = [each["metadata"] for each in found if each["metadata"]["name"].startswith(f"{unique_name}-")]
        return (mine[0]["name"], mine[0].get("annotations", {}).get(ORDER, "")) if mine else ("", "")

    wait_until("the order is placed", lambda: order()[1])
    secret, url = order()
    lost = url.replace(url.rpartition("/")[2], str(uuid.uuid4()))
    with place.site.operator_away():
        obj = place.kubectl.get("secret", secret)
        obj["metadata"] = {each: obj["metadata"][each] for each in ("name", "annotations", "labels", "ownerReferences")}
        if kept:
            obj["metadata"]["annotations"][ORDER] = lost
        else:
            del obj["metadata"]["annotations"][ORDER]
        # As the operator does it, so that it owns the annotation.
        arguments = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
        place.kubectl("apply", *arguments, stdin=json.dumps(obj))

    wait_until("another order is placed", lambda: order()[1] not in ("", url, lost), seconds=60)


def test_openbao_takes_an_account_that_is_bound_to_one_of_its_own(place: Place, unique_name: str) -> None:
    if not isinstance(place.ca, OpenBao):
        pytest.skip("step-ca makes external accounts in Smallstep's own service alone")
    bound = place.ca.write("pki/acme/new-eab")
    place.kubectl.apply(credential("eab", secret=bound["key"]))
    place.ca.write("pki/config/acme", eab_policy="always-required")
    try:
        place.kubectl.apply(acme_issuer(f"{unique_name}-unbound", place.ca, rfc2136(place.dns)))
        message = place.site.wait_condition(f"{unique_name}-unbound", "Ready", "Misconfigured", "issuer")["message"]
        assert "externalAccountBinding" in message

        reference = {"name": "eab"}
        place.issuer(
            unique_name, rfc2136(place.dns), externalAccountBinding={"keyID": bound["id"], "keySecretRef": reference}
        )
        place.kubectl.apply(request(unique_name, unique_name))
        assert names(place.ready(unique_name)) == {f"{unique_name}.example.com"}
    finally:
        place.ca.write("pki/config/acme", eab_policy="not-required")


def test_a_ca_without_durations_is_told_apart(place: Place, unique_name: str) -> None:
    place.issuer(unique_name, rfc2136(place.dns), enableDurationFeature=True)
    place.kubectl.apply(request(unique_name, unique_name, duration="48h"))
    if isinstance(place.ca, OpenBao):
        message = place.site.wait_condition(unique_name, "Stalled", "Rejected")["message"]
        assert "NotBefore and NotAfter are not supported" in message
        assert message.endswith("remove spec.acme.enableDurationFeature from the issuer")
        return
    leaf = place.ready(unique_name)
    assert 48 * 3600 <= (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds() < 49 * 3600
