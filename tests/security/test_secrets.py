"""Secrets that are not a request's own: none is taken over, and none of another namespace is reached."""

import uuid
from pathlib import Path

import pytest

from csr_operator.kube import KubeClient
from csr_operator.model import SecretKey
from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.openssl import own_csr
from tests.support.site import Site


@pytest.fixture
def name() -> str:
    return f"www-{uuid.uuid4().hex[:8]}"


def test_a_secret_of_somebody_else_is_not_taken_over_where_nothing_conflicts(
    site: Site, name: str, tmp_path: Path
) -> None:
    """Without a key the operator's Secret is Opaque, as this one is, and has no data in common with it."""
    site.kubectl.apply(opaque(f"{name}-tls", password="theirs"))
    theirs = site.kubectl.get("secret", f"{name}-tls")

    site.kubectl.apply(request(name, "ca", request=own_csr(tmp_path, name)))

    stalled = site.wait_condition(name, "Stalled", "SecretNotOwned")
    assert "delete it, or name another in spec.secretName" in stalled["message"]
    assert site.kubectl.get("secret", f"{name}-tls") == theirs


@pytest.mark.parametrize("path", ["../../{other}/secrets/{name}", "..%2F..%2F{other}%2Fsecrets%2F{name}", "{name}?x=y"])
async def test_no_name_leads_out_of_the_namespace(
    site: Site, operator_credentials: Path, name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admission refuses such names; who made the object before the rule was there gains nothing either."""
    site.kubectl("create", "namespace", name)
    other = Kubectl(site.kubectl.cluster, name)
    other.apply(opaque(name, password="secret"))
    monkeypatch.setenv("KUBECONFIG", str(operator_credentials))
    kube = await KubeClient.connect(connections=2, patience=10, silence=10)
    try:
        assert await kube.get_secret(SecretKey(name, name)) is not None
        reached = await kube.get_secret(SecretKey(site.kubectl.namespace, path.format(other=name, name=name)))
    finally:
        await kube.close()
    assert reached is None
