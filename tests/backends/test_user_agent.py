"""CAs are told which version asks them, so that their operators can tell whose mistake it is."""

from importlib.metadata import version

from csr_operator.plugin.http import call, http_session, trust
from tests.support.acme_world import order, submitted, world_of
from tests.support.contract import Call, ContractServer, Reply
from tests.support.hostile_acme import HostileAcme

AGENT = f"csr-operator/{version('csr-operator')}"


class _Greeter(ContractServer):
    def answer(self, call: Call) -> Reply:
        return Reply(body={})


async def test_a_vendor_is_told_the_version() -> None:
    with _Greeter() as server:
        async with http_session() as session:
            await call(session, trust(server.ca_bundle, "caBundle"), "GET", server.url)
        [asked] = server.calls
    assert asked.headers["user-agent"] == AGENT


async def test_an_acme_server_is_told_the_version_at_each_call() -> None:
    with HostileAcme() as ca:
        async with world_of(ca) as world:
            await submitted(world.again(), order())
        said = {call.headers["user-agent"] for call in ca.calls}
    assert said == {f"{AGENT} (csr_acme)"}
