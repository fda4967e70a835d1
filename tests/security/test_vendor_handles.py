"""An order's handle and a certificate's reference say where to look, and nothing that is believed.

The attack: mallory writes the number of team-b's order into what is kept of hers. A restart of the operator is a
backend that knows nothing of either.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csr_operator.backends.digicert.handle import Handle
from csr_operator.backends.sectigo.waiting import Placed
from csr_operator.plugin.backend import Issued, Pending
from csr_operator.plugin.errors import Lapsed
from tests.backends.digicert import support as digicert
from tests.emulators import sectigo_world
from tests.emulators.digicert_server import DV, after
from tests.security.vendor_scene import CertCentral, cert_central, sectigo
from tests.support.bind import Bind, bind
from tests.support.following import follows

NEVER = after((0, "pending"))
MINE, THEIRS = "a" * 64, "b" * 64
FORGED = {"placed": 1772366430, "method": "dns-txt-token", "shown": 1772366430}
RECORDS = {"evil.example.com": "ANY-VALUE", "mail.example.com": "v=spf1 +all"}


async def pending(scene: CertCentral, **settings: Any) -> str:
    """team-b's order waits. Its handle."""
    scene.server.plan = NEVER
    answer = await scene.backend(**settings).submit(digicert.order(key=THEIRS))
    assert isinstance(answer, Pending)
    return answer.handle


async def test_an_order_of_another_tenant_is_not_cancelled_at_cert_central(tmp_path: Path) -> None:
    async with cert_central(tmp_path) as scene:
        handle = await pending(scene)
        ca = scene.backend(cancelPending=True)
        assert ca.traits.abandons
        mine = digicert.order(key=MINE)
        for forged in (handle, json.dumps({**json.loads(handle), "reissue": True}), "no handle", "[" * 3000):
            await ca.abandon(MINE, mine.csr, forged)
        assert scene.server.orders[0]["status"] == "pending"
        await ca.abandon(THEIRS, mine.csr, handle)
        assert scene.server.orders[0]["status"] == "canceled"


async def test_an_order_of_another_tenant_is_not_gone_on_with_at_cert_central(tmp_path: Path) -> None:
    async with cert_central(tmp_path) as scene:
        settings = {"product": DV, "organizationId": None, "dcvMethod": "dns-txt-token"}
        handle = await pending(scene, **settings)
        for forged in (handle, json.dumps({**json.loads(handle), "reissue": True})):
            with pytest.raises(Lapsed, match="not placed for this request"):
                await scene.backend(**settings).poll(digicert.order(key=MINE), forged)
        scene.server.set_status(scene.server.orders[0]["id"], "issued")
        with pytest.raises(Lapsed, match="not placed for this request"):
            await scene.backend().poll(digicert.order(key=MINE), handle.replace("dns-txt-token", ""))


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with bind(tmp_path_factory.mktemp("bind"), ("example.com",)) as running:
        yield running


@pytest.mark.slow("starts BIND")
async def test_no_record_is_written_that_a_handle_asks_for(tmp_path: Path, dns: Bind) -> None:
    async with cert_central(tmp_path) as scene:
        scene.server.txt = lambda name: set()  # DigiCert sees none of them
        scene.world.secrets["tsig"] = {"secret": dns.secret.encode()}
        reference = {"name": "tsig", "key": "secret"}
        dns01 = {
            "rfc2136": {
                "nameserver": dns.nameserver,
                "tsigKeyName": dns.key_name,
                "tsigSecretSecretRef": reference,
            },
            "recursiveNameservers": [dns.nameserver],
            "recursiveNameserversOnly": True,
        }
        settings = {"product": DV, "organizationId": None, "dcvMethod": "dns-txt-token", "dns01": dns01}
        handle = await pending(scene, **settings)
        ca = scene.backend(**settings)
        assert ca.traits.abandons
        mine, theirs = digicert.order(key=MINE), digicert.order(key=THEIRS)
        forged = json.dumps({**json.loads(handle), **FORGED, "records": RECORDS})
        with pytest.raises(Lapsed):
            await ca.poll(mine, forged)
        await ca.abandon(MINE, mine.csr, forged)
        assert isinstance(await ca.poll(theirs, forged), Pending)  # and the order's own is shown, with DigiCert's value
        assert dns.records("_dnsauth.www.example.com") == [scene.server.orders[0]["random"]]
        assert not [value for name in RECORDS for value in dns.records(f"_dnsauth.{name}")]
        await scene.backend(**settings).abandon(THEIRS, theirs.csr, handle)
        assert dns.records("_dnsauth.www.example.com") == []


@pytest.mark.parametrize("known", [True, False])
async def test_an_order_of_another_tenant_is_not_reissued(tmp_path: Path, known: bool) -> None:
    async with cert_central(tmp_path) as scene:
        plan = {"renewal": "Reissue", "validity": {"years": 3}}
        theirs = await scene.backend(**plan).submit(digicert.order(THEIRS, "bank.example.com"))
        assert isinstance(theirs, Issued)
        # Their certificate is public, and so is its fingerprint: then its names are not those that may be asked for.
        forged = follows(theirs) if known else {**follows(theirs), "replaces_fingerprint": "AB:" * 31 + "AB"}
        names = "mine.example.com" if known else "bank.example.com"
        assert isinstance(await scene.backend(**plan).submit(digicert.order(MINE, names, **forged)), Issued)
        assert scene.server.count("POST", "/reissue$") == 0
        assert [len(order["certificates"]) for order in scene.server.orders] == [1, 1]


@pytest.mark.parametrize(
    "forged",
    ["../user", "1/2/../3", "-1/5", "1" * 30 + "/1", "100000001/", "\N{FULLWIDTH DIGIT ONE}/\N{FULLWIDTH DIGIT TWO}"],
)
async def test_no_path_is_made_of_a_reference(tmp_path: Path, forged: str) -> None:
    async with cert_central(tmp_path) as scene:
        ca = scene.backend(renewal="Reissue", validity={"years": 3})
        wanted = digicert.order(replaces=forged, replaces_fingerprint="AB", repeated=True)
        assert isinstance(await ca.submit(wanted), Issued)
        assert scene.server.count("GET", "/order/certificate/") == 0
    async with sectigo(tmp_path) as world:
        other = sectigo_world.order(replaces=forged, replaces_fingerprint="AB")
        answer = await world.backend(world.config(renewal="Replace")).submit(other)
        assert isinstance(answer, Pending)
        assert world.server.count("POST", "/replace/") == 0


async def test_an_order_of_another_tenant_is_not_declined_at_sectigo(tmp_path: Path) -> None:
    async with sectigo(tmp_path) as world:
        world.server.steps = (("Requested", 0),)
        theirs = sectigo_world.order("www.example.com", key=THEIRS)
        answer = await world.backend().submit(theirs)
        assert isinstance(answer, Pending)
        ca = world.backend(world.config(cancelPending=True))
        assert ca.traits.abandons
        mine = sectigo_world.order("mine.example.com", key=MINE)
        for forged in (answer.handle, answer.handle.replace("enroll", "renew"), "enroll/../1", "x"):
            await ca.abandon(MINE, mine.csr, forged)
        assert world.server.count("POST", "/decline/") == 0
        await ca.abandon(THEIRS, theirs.csr, answer.handle)
        assert world.server.count("POST", "/decline/101$") == 1
        for state in ("Declined", "Issued"):
            world.server.become(101, state)
            with pytest.raises(Lapsed, match="not ordered for this request"):
                await ca.poll(mine, answer.handle)
        assert world.server.count("GET", "/collect/") == 0


@pytest.mark.parametrize("how", ["Renew", "Replace"])
@pytest.mark.parametrize("known", [True, False])
async def test_a_certificate_of_another_tenant_is_not_followed_at_sectigo(
    tmp_path: Path, how: str, known: bool
) -> None:
    async with sectigo(tmp_path) as world:
        ca, theirs = world.backend(world.config(renewal=how)), sectigo_world.order("bank.example.com", key=THEIRS)
        issued = await sectigo_world.finish(ca, theirs, await ca.submit(theirs))
        forged = follows(issued) if known else {**follows(issued), "replaces_fingerprint": "AB:" * 31 + "AB"}
        mine = sectigo_world.order("mine.example.com" if known else "bank.example.com", key=MINE, **forged)
        await sectigo_world.finish(ca, mine, await ca.submit(mine))
        assert world.server.count("POST", "/(replace|renewById)/") == 0
        assert world.server.count("POST", "/enroll") == 2


@given(st.text() | st.recursive(st.integers() | st.text() | st.booleans(), lambda x: st.lists(x)).map(json.dumps))
def test_any_text_is_a_handle_or_is_told_to_be_none(text: str) -> None:
    with pytest.raises(Lapsed):
        Handle.parse(text)
    with pytest.raises(ValueError, match="no handle"):
        Placed.parse(text)


@pytest.mark.parametrize("field", ["order", "placed", "method", "reissue"])
@pytest.mark.parametrize("value", [-1, 10**40, 1e308, True, None, "1", [], {}, "../x"])
def test_a_handle_with_an_odd_value_is_none(field: str, value: Any) -> None:
    if (field, value) in (("reissue", True), ("placed", -1), ("placed", True)):
        return  # it may have that
    with pytest.raises(Lapsed):
        Handle.parse(json.dumps({"order": 1, "placed": 1, "method": "", field: value}))
