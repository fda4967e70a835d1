"""The client against Pebble: strict, and refusing one nonce in five."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from csr_acme import AcmeClient, Authorization, Challenge, ExternalAccount, Identifier, Order, Refused, Unreachable
from csr_acme.challenges import (
    alpn_certificate,
    dns_account_name,
    dns_name,
    dns_persist_name,
    dns_persist_value,
    dns_value,
    key_authorization,
)
from csr_acme.client import renewal_id
from csr_acme.jose import AccountKey
from tests.support.pebble import EXTERNAL_KEY, EXTERNAL_KEY_ID, Pebble, pebble
from tests.support.sessions import session_trusting

pytestmark = pytest.mark.slow("builds and starts Pebble")

DEADLINE = 30


def dns(*names: str) -> list[Identifier]:
    return [Identifier("dns", name) for name in names]


def csr_for(*names: str, key: ec.EllipticCurvePrivateKey | None = None) -> x509.CertificateSigningRequest:
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
        .sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )


def challenge(authorization: Authorization, kind: str) -> Challenge:
    return next(c for c in authorization.challenges if c.type == kind)


async def settled(client: AcmeClient, order: Order, *unsettled: str) -> Order:
    """Ask until the order's status is none of `unsettled`, as often as the server lets."""
    async with asyncio.timeout(DEADLINE):
        while order.status in unsettled:
            await asyncio.sleep(order.retry_after or 0.05)
            order = await client.order(order.url)
    return order


async def prove_by_dns(client: AcmeClient, server: Pebble, key: AccountKey, order: Order) -> Order:
    for url in order.authorizations:
        authorization = await client.authorization(url)
        asked = challenge(authorization, "dns-01")
        server.set_txt(dns_name(authorization.identifier.value), dns_value(asked.token, key))
        await client.respond(asked)
    return await settled(client, order, "pending")


async def issued(
    client: AcmeClient, server: Pebble, key: AccountKey, names: Sequence[str], replaces: str = ""
) -> x509.Certificate:
    order = await client.new_order(dns(*names), replaces=replaces)
    order = await prove_by_dns(client, server, key, order)
    order = await settled(client, await client.finalize(order, csr_for(*names)), "processing")
    assert order.status == "valid"
    return x509.load_pem_x509_certificates((await client.certificate(order))[0])[0]


async def test_a_wildcard_and_its_apex_by_dns(client: AcmeClient, server: Pebble, key: AccountKey) -> None:
    names = ["*.wild.example.com", "wild.example.com"]
    leaf = await issued(client, server, key, names)
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(found.get_values_for_type(x509.DNSName)) == set(names)


async def test_the_chains_offered_lead_to_the_roots_of_the_ca(
    client: AcmeClient, server: Pebble, key: AccountKey
) -> None:
    order = await prove_by_dns(client, server, key, await client.new_order(dns("chain.example.com")))
    order = await settled(client, await client.finalize(order, csr_for("chain.example.com")), "processing")
    chains = [x509.load_pem_x509_certificates(pem) for pem in await client.certificate(order, alternates=1)]
    assert len(chains) == 2
    assert chains[0][0] == chains[1][0]
    tops = [chain[-1].issuer.rfc4514_string() for chain in chains]
    root = x509.load_pem_x509_certificate(server.roots())
    assert root.subject.rfc4514_string() == tops[0] != tops[1]


async def test_a_name_by_http(client: AcmeClient, server: Pebble, key: AccountKey) -> None:
    order = await client.new_order(dns("http.example.com"))
    authorization = await client.authorization(order.authorizations[0])
    asked = challenge(authorization, "http-01")
    server.add_http01(asked.token, key_authorization(asked.token, key))
    await client.respond(asked)
    assert (await settled(client, order, "pending")).status == "ready"


async def test_a_failed_challenge_says_why(client: AcmeClient, key: AccountKey) -> None:
    order = await client.new_order(dns("unproven.example.com"))
    authorization = await client.authorization(order.authorizations[0])
    await client.respond(challenge(authorization, "http-01"))
    order = await settled(client, order, "pending")
    assert order.status == "invalid"
    failed = challenge(await client.authorization(authorization.url), "http-01")
    assert failed.error is not None
    assert failed.error.type in ("unauthorized", "connection", "incorrectResponse")
    assert failed.error.detail


async def test_challenges_newer_than_the_client_are_no_obstacle(
    client: AcmeClient, server: Pebble, key: AccountKey
) -> None:
    order = await client.new_order(dns("newer.example.com"))
    authorization = await client.authorization(order.authorizations[0])
    persist = challenge(authorization, "dns-persist-01")
    assert persist.token == ""
    issuer = persist.issuer_domains[0]
    server.set_txt(dns_persist_name("newer.example.com"), dns_persist_value(issuer, client.account_url))
    await client.respond(persist)
    assert (await settled(client, order, "pending")).status == "ready"


async def test_a_name_by_the_accounts_own_dns_label(client: AcmeClient, server: Pebble, key: AccountKey) -> None:
    order = await client.new_order(dns("label.example.com"))
    authorization = await client.authorization(order.authorizations[0])
    asked = challenge(authorization, "dns-account-01")
    server.set_txt(dns_account_name("label.example.com", client.account_url), dns_value(asked.token, key))
    await client.respond(asked)
    assert (await settled(client, order, "pending")).status == "ready"


async def test_an_order_is_taken_up_again_by_its_url(
    client: AcmeClient, server: Pebble, session: aiohttp.ClientSession, key: ec.EllipticCurvePrivateKey
) -> None:
    order = await client.new_order(dns("resumed.example.com"))
    again = AcmeClient(session, server.directory, key, client.account_url)
    resumed = await again.order(order.url)
    assert (resumed.url, resumed.status, resumed.identifiers) == (order.url, "pending", order.identifiers)
    ready = await prove_by_dns(again, server, key, resumed)
    csr = csr_for("resumed.example.com")
    first = await again.finalize(ready, csr)
    assert first.status in ("processing", "valid")
    assert (await settled(again, first, "processing")).certificate


async def test_the_account_is_found_changed_and_closed(
    server: Pebble, session: aiohttp.ClientSession, key: ec.EllipticCurvePrivateKey
) -> None:
    client = AcmeClient(session, server.directory, key)
    with pytest.raises(Refused) as unknown:
        await client.new_account(only_existing=True)
    assert unknown.value.problem.type == "accountDoesNotExist"
    made = await client.new_account(["mailto:a@example.com"], terms_agreed=True)
    found = await AcmeClient(session, server.directory, key).new_account(only_existing=True)
    assert found.url == made.url
    assert (await client.update_account(["mailto:b@example.com"])).contact == ("mailto:b@example.com",)
    new_key = ec.generate_private_key(ec.SECP384R1())
    await client.change_key(new_key)
    assert (await client.account()).status == "valid"
    with pytest.raises(Refused):
        await AcmeClient(session, server.directory, key, made.url).account()
    await client.deactivate_account()
    with pytest.raises(Refused):
        await client.new_order(dns("closed.example.com"))


async def test_an_rsa_account_key_serves_as_well(server: Pebble, session: aiohttp.ClientSession) -> None:
    client = AcmeClient(session, server.directory, rsa.generate_private_key(65537, 2048))
    assert (await client.new_account(terms_agreed=True)).status == "valid"


async def test_orders_are_listed_over_all_pages(client: AcmeClient) -> None:
    placed = {(await client.new_order(dns(f"page-{n}.example.com"))).url for n in range(5)}
    assert set(await client.orders()) == placed


async def test_a_revocation_moves_the_suggested_window_and_a_replacement_is_announced(
    client: AcmeClient, server: Pebble, key: AccountKey
) -> None:
    leaf = await issued(client, server, key, ["ari.example.com"])
    before = await client.renewal_info(renewal_id(leaf))
    assert before is not None
    assert datetime.now(UTC) < before.end
    assert before.retry_after > 0
    await client.revoke(leaf, reason=4)
    await client.revoke(leaf, reason=4)  # done already
    after = await client.renewal_info(renewal_id(leaf))
    assert after is not None
    assert after.end < datetime.now(UTC)

    follower = await issued(client, server, key, ["ari.example.com"], replaces=renewal_id(leaf))
    assert follower.serial_number != leaf.serial_number
    with pytest.raises(Refused) as twice:
        await client.new_order(dns("ari.example.com"), replaces=renewal_id(leaf))
    assert twice.value.problem.type == "alreadyReplaced"


async def test_a_certificates_own_key_may_revoke_it(
    client: AcmeClient, server: Pebble, key: AccountKey, session: aiohttp.ClientSession
) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    order = await prove_by_dns(client, server, key, await client.new_order(dns("own.example.com")))
    order = await settled(client, await client.finalize(order, csr_for("own.example.com", key=own)), "processing")
    leaf = x509.load_pem_x509_certificates((await client.certificate(order))[0])[0]
    stranger = AcmeClient(session, server.directory, ec.generate_private_key(ec.SECP256R1()))
    await stranger.revoke(leaf, certificate_key=own)
    info = await client.renewal_info(renewal_id(leaf))
    assert info is not None
    assert info.end < datetime.now(UTC)


async def test_profiles_are_offered_and_an_unknown_one_is_refused(
    client: AcmeClient, server: Pebble, key: AccountKey
) -> None:
    assert set((await client.directory()).profiles) == {"default", "shortlived"}
    order = await client.new_order(dns("short.example.com"), profile="shortlived")
    order = await prove_by_dns(client, server, key, order)
    order = await settled(client, await client.finalize(order, csr_for("short.example.com")), "processing")
    leaf = x509.load_pem_x509_certificates((await client.certificate(order))[0])[0]
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 5
    with pytest.raises(Refused) as unknown:
        await client.new_order(dns("short.example.com"), profile="none")
    assert unknown.value.problem.type == "invalidProfile"


async def test_what_the_ca_does_not_certify_is_refused_in_its_words(client: AcmeClient) -> None:
    with pytest.raises(Refused) as blocked:
        await client.new_order(dns("blocked.example"))
    assert blocked.value.problem.type == "rejectedIdentifier"
    assert "blocked.example" in str(blocked.value)


async def test_an_ip_address_can_be_ordered(client: AcmeClient) -> None:
    order = await client.new_order([Identifier("ip", "127.0.0.1")])
    offered = {c.type for c in (await client.authorization(order.authorizations[0])).challenges}
    assert offered == {"http-01", "tls-alpn-01"}


async def test_an_authorization_can_be_given_up(client: AcmeClient) -> None:
    order = await client.new_order(dns("given-up.example.com"))
    await client.deactivate_authorization(order.authorizations[0])
    assert (await client.authorization(order.authorizations[0])).status == "deactivated"


async def test_external_accounts(tmp_path: Path, key: AccountKey) -> None:
    with pebble(tmp_path, external=True) as server:
        async with session_trusting(server.ca_file) as session:
            client = AcmeClient(session, server.directory, key)
            assert (await client.directory()).external_account_required
            with pytest.raises(Refused) as missing:
                await client.new_account(terms_agreed=True)
            assert missing.value.problem.type == "externalAccountRequired"
            bound = ExternalAccount(EXTERNAL_KEY_ID, EXTERNAL_KEY)
            assert EXTERNAL_KEY not in repr(bound)
            assert (await client.new_account(terms_agreed=True, external=bound)).status == "valid"


async def test_a_server_that_is_not_trusted_or_not_there_is_unreachable(server: Pebble, key: AccountKey) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unreachable, match="is not trusted"):
            await AcmeClient(session, server.directory, key).directory()
        with pytest.raises(Unreachable):
            await AcmeClient(session, "https://127.0.0.1:1/dir", key).directory()


def test_the_certificate_for_tls_alpn_names_just_what_is_proved(key: AccountKey) -> None:
    now = datetime.now(UTC)
    certificate, own = alpn_certificate(Identifier("dns", "alpn.example.com"), key_authorization("token", key), now)
    assert certificate.public_key() == own.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["alpn.example.com"]
    proof = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
    assert proof.critical
