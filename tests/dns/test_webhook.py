"""`webhook` with the contract that docs/dns.md tells users to keep to."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable
from tests.dns.conftest import World
from tests.support.bind import Bind
from tests.support.contract import Reply
from tests.support.webhook import Webhook

pytestmark = pytest.mark.slow("starts BIND")


@pytest.fixture(scope="module")
def service(server: Bind) -> Iterator[Webhook]:
    with Webhook(server) as running:
        yield running


def solver(service: Webhook, server: Bind, **changes: Any) -> dict[str, Any]:
    config = {"url": f"{service.url}/dns", "caBundle": service.ca_bundle, "credentialsSecretRef": {"name": "hook"}}
    return {"webhook": {**config, **changes}, "recursiveNameservers": [server.nameserver]}


async def test_presents_and_cleans_up(world: World, service: Webhook, server: Bind, name: str) -> None:
    world.secrets["hook"] = {"token": b"s3cret\n"}
    provider = world.provider(solver(service, server))
    await provider.present(name, "value")
    await provider.present(name, "value")
    assert server.records(name) == ["value"]
    assert service.calls[-1].headers["authorization"] == "Bearer s3cret"
    assert service.calls[-1].body == {"name": name, "value": "value", "zone": "example.com"}
    await provider.withdraw(name, "value")
    assert server.records(name) == []


async def test_credentials_of_other_kinds(world: World, service: Webhook, server: Bind, name: str) -> None:
    world.secrets["hook"] = {"username": b"operator", "password": b"s3cret"}
    await world.provider(solver(service, server)).present(name, "value")
    basic = base64.b64encode(b"operator:s3cret").decode()
    assert service.calls[-1].headers["authorization"] == f"Basic {basic}"
    await world.provider(solver(service, server, credentialsSecretRef=None)).present(name, "value")
    assert "authorization" not in service.calls[-1].headers
    world.secrets["hook"] = {"password": b"s3cret"}
    with pytest.raises(Misconfigured, match=r"credentialsSecretRef: Secret hook needs token, or username and pass"):
        await world.provider(solver(service, server)).present(name, "value")


@pytest.mark.parametrize(
    ("reply", "kind", "says"),
    [
        (Reply(422, {"message": "not a zone of ours"}), Rejected, "refuses the record .*422: not a zone of ours"),
        (Reply(401), Misconfigured, "webhook.credentialsSecretRef: the webhook refuses them .*401"),
        (Reply(403, {"message": "s3cret is wrong"}), Misconfigured, r"refuses them .*403: \*\*\* is wrong"),
        (Reply(404, b"<html>"), Misconfigured, "webhook.url: https://.*/dns is not the webhook .*404"),
        (Reply(302, None, {"Location": "https://example.com/"}), Misconfigured, "is not the webhook .*302"),
        (Reply(503, {"message": "busy"}, {"Retry-After": "30"}), Retryable, "the webhook fails .*503: busy"),
        (Reply(500, {"message": "a\nb" + "c" * 9999}), Retryable, r"a b" + "c" * 400 + r".*\.\.\."),
    ],
)
async def test_what_it_may_answer(
    world: World, service: Webhook, server: Bind, name: str, reply: Reply, kind: type[BackendError], says: str
) -> None:
    world.secrets["hook"] = {"token": b"s3cret"}
    service.fail(reply)
    with pytest.raises(kind, match=says) as caught:
        await world.provider(solver(service, server)).present(name, "value")
    assert "s3cret" not in str(caught.value)
    assert getattr(caught.value, "after", timedelta(0)) in (timedelta(0), timedelta(seconds=30))
