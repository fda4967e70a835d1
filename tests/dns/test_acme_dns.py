"""`acmeDNS` with a contract server, whose values are in BIND."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from csr_operator.dns.base import Provider
from csr_operator.dns.resolve import Resolver
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from tests.dns.conftest import World
from tests.support.acme_dns import AcmeDnsServer
from tests.support.bind import Bind
from tests.support.contract import Damage, Reply

pytestmark = pytest.mark.slow("starts BIND")

ZONE = "acme.example.net"
ONE, TWO, THREE = ("1" * 43, "2" * 43, "3" * 43)


@pytest.fixture(scope="module")
def service(server: Bind) -> Iterator[AcmeDnsServer]:
    with AcmeDnsServer(server, ZONE) as running:
        yield running


@pytest.fixture
def account(world: World, service: AcmeDnsServer) -> dict[str, Any]:
    """That of www.example.com, in the Secret."""
    registered = service.register()
    keep(world, {"www.example.com": registered})
    return registered


@pytest.fixture
def provider(world: World, service: AcmeDnsServer, server: Bind) -> Provider:
    return world.provider(solver(service, server))


def solver(service: AcmeDnsServer, server: Bind, **changes: Any) -> dict[str, Any]:
    reference = {"name": "acme-dns", "key": "accounts.json"}
    config = {"host": f"{service.url}/", "accountSecretRef": reference, "caBundle": service.ca_bundle, **changes}
    return {"acmeDNS": config, "recursiveNameservers": [server.nameserver], "recursiveNameserversOnly": True}


def keep(world: World, accounts: object) -> None:
    world.secrets["acme-dns"] = {"accounts.json": json.dumps(accounts).encode()}


async def test_a_delegated_name_is_answered(account: dict[str, Any], provider: Provider, server: Bind) -> None:
    """A host and its wildcard need two values; both are there, also when one of them is presented again."""
    server.add("_acme-challenge.www.example.com", "CNAME", f"{account['fulldomain']}.")
    target = await Resolver([server.nameserver]).target("_acme-challenge.www.example.com")
    for value in (ONE, TWO, TWO, ONE):
        await provider.present(target, value)
    assert server.records(account["fulldomain"]) == [ONE, TWO]
    await provider.withdraw(target, ONE)
    await provider.present(target, THREE)
    assert server.records(account["fulldomain"]) == [TWO, THREE]


async def test_a_name_that_is_not_delegated_yet(account: dict[str, Any], provider: Provider) -> None:
    with pytest.raises(Retryable, match=f"create there a CNAME record to {account['fulldomain']}"):
        await provider.present("_acme-challenge.www.example.com", ONE)


@pytest.mark.usefixtures("account")
async def test_a_name_without_an_account(provider: Provider) -> None:
    with pytest.raises(Misconfigured, match=r"accountSecretRef: no account .* has the fulldomain _acme-challenge.mail"):
        await provider.present("_acme-challenge.mail.example.com", ONE)


async def test_an_account_that_is_refused(world: World, account: dict[str, Any], provider: Provider) -> None:
    password = "not-the-password-of-this-account-at-all-"
    keep(world, {"www.example.com": {**account, "password": password}})
    with pytest.raises(Misconfigured, match="accountSecretRef: acme-dns refuses the account of") as caught:
        await provider.present(account["fulldomain"], ONE)
    assert password not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"www.example.com": {"username": "u"}}'])
async def test_accounts_that_are_none(world: World, provider: Provider, text: bytes) -> None:
    world.secrets["acme-dns"] = {"accounts.json": text}
    with pytest.raises(
        Misconfigured, match=r"accountSecretRef: .*(write it|add it|what /register of acme-dns answered)"
    ):
        await provider.present("_acme-challenge.www.example.com", ONE)


async def test_a_value_that_it_does_not_take(account: dict[str, Any], provider: Provider) -> None:
    with pytest.raises(Rejected, match=r"takes those of 43 characters only .*bad_txt"):
        await provider.present(account["fulldomain"], "ca.example; accounturi=https://ca.example/account/1")


async def test_a_server_in_trouble(account: dict[str, Any], provider: Provider, service: AcmeDnsServer) -> None:
    service.fail(Reply(500, {"error": "db_error"}, {"Retry-After": "7"}))
    with pytest.raises(Retryable, match=r"acme-dns: HTTP status 500 .*db_error") as caught:
        await provider.present(account["fulldomain"], ONE)
    assert caught.value.after.total_seconds() == 7
    service.fail(Damage.LOST, carried_out=True)
    with pytest.raises(Retryable):
        await provider.present(account["fulldomain"], ONE)
    await provider.present(account["fulldomain"], ONE)


async def test_a_host_that_is_another(
    world: World, account: dict[str, Any], service: AcmeDnsServer, server: Bind
) -> None:
    other = world.provider(solver(service, server, host=f"{service.url}/elsewhere"))
    with pytest.raises(Misconfigured, match=r"acmeDNS.host: no acme-dns is at https://127.0.0.1.*/elsewhere .*404"):
        await other.present(account["fulldomain"], ONE)
    untrusted = world.provider(solver(service, server, caBundle=""))
    with pytest.raises(Retryable, match=r"TLS certificate is not trusted .*: set caBundle to its CA"):
        await untrusted.present(account["fulldomain"], ONE)
