"""A certificate is revoked at the CA if it is the CA's, and not by its serial number, which everybody can read.

The attack: mallory signs a certificate of her own with the serial number of team-b's, and owes its revocation.
"""

from pathlib import Path

import pytest
from cryptography import x509

from csr_operator.backends.digicert.one import DigicertOneBackend
from csr_operator.plugin.backend import Issued
from csr_operator.plugin.errors import Rejected, Retryable
from tests.backends.digicert import support as digicert
from tests.emulators import sectigo_world
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.security.vendor_scene import cert_central, sectigo, twin
from tests.support.contract import Reply
from tests.support.following import follows

WHY = x509.ReasonFlags.superseded


async def test_cert_central_is_not_asked_to_revoke_a_twin(tmp_path: Path) -> None:
    async with cert_central(tmp_path) as scene:
        theirs = await scene.backend().submit(digicert.order(key="b" * 64))
        assert isinstance(theirs, Issued)
        with pytest.raises(Rejected, match=r"no certificate that is the same as this one.*nothing is revoked"):
            await scene.backend().revoke(twin(theirs), WHY)
        assert scene.server.count("PUT", "/revoke$") == 0
        assert [one["status"] for one in scene.server.orders[0]["certificates"]] == ["issued"]
        await scene.backend().revoke(theirs.certificates[0], WHY)
        assert [one["status"] for one in scene.server.orders[0]["certificates"]] == ["revoked"]


async def test_what_a_reissue_superseded_is_revoked_and_its_twin_is_not(tmp_path: Path) -> None:
    async with cert_central(tmp_path) as scene:
        plan = {"renewal": "Reissue", "validity": {"years": 3}}
        first = await scene.backend(**plan).submit(digicert.order(key="1" * 64))
        assert isinstance(first, Issued)
        assert isinstance(await scene.backend(**plan).submit(digicert.order(key="2" * 64, **follows(first))), Issued)
        with pytest.raises(Rejected, match="nothing is revoked"):
            await scene.backend().revoke(twin(first), WHY)
        await scene.backend().revoke(first.certificates[0], WHY)
        assert [one["status"] for one in scene.server.orders[0]["certificates"]] == ["revoked", "issued"]


async def test_digicert_one_is_not_asked_to_revoke_a_twin(tmp_path: Path) -> None:
    async with cert_central(tmp_path) as scene:
        with DigicertOneServer(tmp_path / "one", scene.clock) as server:
            config = {"url": server.url, "caBundle": server.ca_bundle, "secretName": "digicert"}
            ca = DigicertOneBackend.create({**config, "profileId": server.PROFILE}, scene.world.context)
            theirs = await ca.submit(digicert.order(key="b" * 64))
            assert isinstance(theirs, Issued)
            with pytest.raises(Rejected, match="nothing is revoked"):
                await ca.revoke(twin(theirs), WHY)
            assert server.count("PUT", "/revoke$") == 0
            await ca.revoke(theirs.certificates[0], WHY)
            assert server.certificates[0]["status"] == "revoked"


async def test_sectigo_is_not_asked_to_revoke_a_twin(tmp_path: Path) -> None:
    async with sectigo(tmp_path) as world:
        ca, wanted = world.backend(), sectigo_world.order()
        theirs = await sectigo_world.finish(ca, wanted, await ca.submit(wanted))
        with pytest.raises(Rejected, match=r"no certificate that is the same as this one.*nothing is revoked"):
            await world.backend().revoke(twin(theirs), WHY)
        assert world.server.count("POST", "/revoke/") == 0
        await world.backend().revoke(theirs.certificates[0], WHY)
        assert world.server.count("POST", "/revoke/") == 1


@pytest.mark.parametrize("listed", [{}, {"orders": [{"id": "../user"}]}, {"orders": "x"}, {"orders": [{"id": 10**30}]}])
async def test_an_answer_of_another_form_revokes_nothing(tmp_path: Path, listed: object) -> None:
    async with cert_central(tmp_path) as scene:
        theirs = await scene.backend().submit(digicert.order(key="b" * 64))
        assert isinstance(theirs, Issued)
        scene.server.fail(Reply(200, listed), "GET", "/order/certificate$")
        with pytest.raises((Rejected, Retryable)):
            await scene.backend().revoke(theirs.certificates[0], WHY)
        assert scene.server.count("PUT", "/revoke$") == 0
