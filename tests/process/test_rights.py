"""A right that the operator lacks is told in the status of the issuer that needs it, and not in the log alone."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from csr_operator.api.keys import ObjectKey, SecretKey
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.challenges.responder import Challenges
from csr_operator.control.issuers import Issuers
from csr_operator.control.scope import Scope
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError
from csr_operator.plugin.http import http_session
from tests.support.manifests import issuer

_DENIED = (
    'secrets "company-ca" is forbidden: User "csr-operator" cannot get resource "secrets" in the namespace "system"'
)


class Forbidding:
    """An API server whose RBAC was set up for some namespaces, and forgot one."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.said: list[dict[str, Any]] = []
        self.secrets = self.custom_objects = self

    async def get(self, _: SecretKey) -> None:
        raise KubeError(self._status, "", _DENIED)

    async def patch_status(self, _: ObjectKey, __: str, status: dict[str, Any]) -> dict[str, Any]:
        self.said.append(status)
        return {"metadata": {"resourceVersion": "2"}}


def _issuers(kube: Forbidding) -> tuple[Issuers, ObjectKey]:
    obj = issuer("company", kind="ClusterIssuer", ca={"secretName": "company-ca"})
    obj["metadata"] |= {"uid": "1", "resourceVersion": "1", "generation": 1}
    found = parse_issuer(obj)
    issuers = Issuers(
        cast(Kube, kube),
        "system",
        lambda: datetime.now(UTC),
        lambda _: None,
        cast(Challenges, None),
        None,
        http_session,
        Scope.whole(),
    )
    issuers.observe(found)
    return issuers, found.key


async def test_a_missing_right_is_in_the_condition() -> None:
    kube = Forbidding(403)
    issuers, key = _issuers(kube)

    await issuers.check(key)

    (status,) = kube.said
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Misconfigured")
    assert _DENIED in ready["message"]
    assert "lacks a permission" in ready["message"]
    assert [sample.ready for sample in issuers.samples()] == [False]


async def test_an_api_server_that_has_trouble_says_nothing_of_the_issuer() -> None:
    kube = Forbidding(500)
    issuers, key = _issuers(kube)

    with pytest.raises(KubeError):
        await issuers.check(key)
    assert kube.said == []
