"""Whether an issuer can be used, in words that say what the account has instead; and revocation."""

from collections.abc import Callable

import pytest
from cryptography import x509

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.plugin.backend import Issued
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.testing import Clock, World
from tests.backends.digicert.support import order
from tests.emulators.digicert_server import CONTAINER, DV, OV, PRIVATE, DigicertServer
from tests.support.contract import Reply

Make = Callable[..., DigicertBackend]


async def test_a_good_issuer_says_what_it_orders(backend: Make) -> None:
    assert (await backend(containerId=CONTAINER).check()).message == "orders Basic OV for Example Inc. for Web"


@pytest.mark.parametrize(
    ("field", "wrong", "has"),
    [
        ("product", "ssl_gold", f"products: {PRIVATE} (Private SSL OV), {OV} (Basic OV), {DV} (GeoTrust DV SSL)"),
        ("organizationId", 1, "organizations: 117483 (Example Inc.)"),
        ("containerId", 1, "containers: 5 (Web)"),
    ],
)
async def test_what_the_account_does_not_have_is_told_with_what_it_has(
    backend: Make, field: str, wrong: object, has: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        await backend(**{field: wrong}).check()
    says = f"spec.digicert.{field}: DigiCert has no {wrong} for this API key; the account's {has}"
    assert str(refused.value) == says


async def test_an_account_with_more_organizations_than_a_page_holds(backend: Make, server: DigicertServer) -> None:
    server.page = 100
    server.organizations = {n: f"Branch {n}" for n in range(1, 251)}
    assert (await backend(organizationId=250).check()).message == "orders Basic OV for Branch 250"
    with pytest.raises(Misconfigured, match="and 230 more"):
        await backend(organizationId=251).check()


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (None, "Secret digicert, named in spec.digicert.secretName, does not exist: create it with"),
        ({}, "Secret digicert, named in spec.digicert.secretName: api-key is missing: put the API key there"),
        ({"api-key": b"two\nlines"}, "api-key is no line of text: put the API key there"),
        ({"api-key": b"two words"}, "api-key is no API key: put DigiCert's there"),
        ({"api-key": b"WRONG"}, "DigiCert refuses the API key"),
    ],
)
async def test_a_key_that_is_wrong_is_told(
    backend: Make, world: World, secret: dict[str, bytes] | None, says: str
) -> None:
    if secret is None:
        del world.secrets["digicert"]
    else:
        world.secrets["digicert"] = secret
    with pytest.raises(Misconfigured, match=says):
        await backend().check()


async def test_another_address_is_told_with_the_right_one(backend: Make, server: DigicertServer) -> None:
    with pytest.raises(Rejected) as refused:
        await backend(url=server.url).check()
    assert str(refused.value).endswith(
        "(not_found|route): spec.digicert.url has to be that of a Services API, such as "
        "https://www.digicert.com/services/v2"
    )


async def test_a_key_that_may_only_order_is_good_enough(backend: Make, server: DigicertServer) -> None:
    server.fail(Reply(403, {"errors": [{"code": "access_denied"}]}), "GET", "/organization$")
    assert (await backend().check()).message == "orders Basic OV"


async def test_a_good_issuer_is_asked_about_once_an_hour(backend: Make, server: DigicertServer, clock: Clock) -> None:
    ca = backend()
    for _ in range(120):
        await ca.check()
        clock.advance(seconds=29)
    assert len(server.calls) == 2


async def test_another_key_is_tried_at_once(backend: Make, server: DigicertServer, world: World) -> None:
    ca = backend()
    await ca.check()
    world.secrets["digicert"] = {"api-key": b"WRONG"}
    with pytest.raises(Misconfigured):
        await ca.check()


async def test_one_certificate_is_revoked_and_never_the_order(backend: Make, server: DigicertServer) -> None:
    ca = backend(skipApproval=True)
    certificate = await issue(ca)
    await ca.revoke(certificate, x509.ReasonFlags.superseded)
    one = server.orders[0]["certificates"][0]
    assert (one["status"], one["reason"]) == ("revoked", "superseded")
    assert server.orders[0]["status"] == "issued"
    assert not server.count("PUT", "/order/")
    await ca.revoke(certificate, x509.ReasonFlags.superseded)  # done already counts as done


async def test_a_revocation_that_waits_for_an_administrator_is_told(backend: Make, server: DigicertServer) -> None:
    ca = backend()
    certificate = await issue(ca)
    server.approvals = True
    with pytest.raises(Rejected, match=r"approve revocation request 5[0-9]+ in CertCentral"):
        await ca.revoke(certificate, x509.ReasonFlags.key_compromise)


async def test_a_certificate_that_is_being_reissued_is_revoked_later(backend: Make, server: DigicertServer) -> None:
    ca = backend()
    certificate = await issue(ca)
    server.set_status(server.orders[0]["id"], "reissue_pending")
    with pytest.raises(Retryable) as failed:
        await ca.revoke(certificate, x509.ReasonFlags.key_compromise)
    assert failed.value.after.total_seconds() > 0


async def test_another_account_s_certificate_cannot_be_revoked(backend: Make, server: DigicertServer) -> None:
    certificate = await issue(backend())
    server.fail(Reply(404, {"errors": [{"code": "not_found|certificate"}]}), "PUT")
    with pytest.raises(Rejected, match="not_found"):
        await backend().revoke(certificate, x509.ReasonFlags.unspecified)


async def issue(ca: DigicertBackend) -> x509.Certificate:
    answer = await ca.submit(order())
    assert isinstance(answer, Issued)
    return answer.certificates[0]
