"""A Secret that is not the request's own is never touched; the request says so, and goes on once it is away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.openssl import openssl
from tests.support.site import REQUEST, Site


def _opaque(site: Site, secret: str, folder: Path) -> None:
    site.kubectl("create", "secret", "generic", secret, "--from-literal=password=secret")


def _tls(site: Site, secret: str, folder: Path) -> None:
    key, certificate = folder / "key.pem", folder / "crt.pem"
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", certificate)
    site.kubectl("create", "secret", "tls", secret, f"--cert={certificate}", f"--key={key}")


def _labelled(site: Site, secret: str, folder: Path) -> None:
    """Looks as if it were the operator's, and is not."""
    _tls(site, secret, folder)
    site.kubectl("label", "secret", secret, "csr-operator.dev/managed=true")


@pytest.mark.parametrize("make", [_opaque, _tls, _labelled])
def test_a_secret_made_by_somebody_else_is_left_untouched(
    site: Site, unique_name: str, tmp_path: Path, make: Callable[[Site, str, Path], None]
) -> None:
    make(site, f"{unique_name}-tls", tmp_path)
    theirs = site.kubectl.get("secret", f"{unique_name}-tls")

    site.kubectl.apply(request(unique_name, "ca"))

    stalled = site.wait_condition(unique_name, "Stalled", "SecretNotOwned")
    assert f"{unique_name}-tls" in stalled["message"]
    another = "or delete this request, and create it with another spec.secretName"
    assert f"delete the Secret if nobody needs it; {another}" in stalled["message"]
    ready = condition(site.kubectl.get(REQUEST, unique_name), "Ready")
    assert (ready["status"], ready["message"]) == ("False", stalled["message"])
    wait_until("there is a Warning", lambda: site.warnings(unique_name))

    assert site.kubectl.get("secret", f"{unique_name}-tls") == theirs
    site.kubectl("delete", "secret", f"{unique_name}-tls")
    site.kubectl.wait_ready(unique_name)
    assert [event["reason"] for event in site.warnings(unique_name)] == ["SecretNotOwned"]
    assert [c["type"] for c in site.status(unique_name)["conditions"]] == ["Ready"]


def test_the_secret_of_another_request_is_left_untouched(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    theirs = site.kubectl.get("secret", f"{unique_name}-tls")

    site.kubectl.apply(request(f"{unique_name}-2", "ca", secretName=f"{unique_name}-tls"))

    assert (
        f"CertificateRequest {unique_name} "
        in site.wait_condition(f"{unique_name}-2", "Stalled", "SecretNotOwned")["message"]
    )
    assert site.kubectl.get("secret", f"{unique_name}-tls") == theirs
    site.kubectl("delete", REQUEST, unique_name)
    site.kubectl.wait_ready(f"{unique_name}-2")


def _one_of_each_pair(site: Site, cluster: ControlPlane, secrets: list[str]) -> None:
    requests = {r["metadata"]["name"]: r for r in site.kubectl.list(REQUEST)}
    written = [call.name for call in writes(cluster, site.kubectl.namespace) if call.resource == "secrets"]
    for secret in secrets:
        pair = [requests[f"{secret}-{half}"] for half in "ab"]
        ready = [r["metadata"]["name"] for r in pair if condition(r, "Ready")["status"] == "True"]
        stalled = [condition(r, "Stalled").get("message", "") for r in pair if condition(r, "Stalled")]
        assert (len(ready), len(stalled)) == (1, 1), secret
        assert f"Secret {secret} belongs to CertificateRequest {ready[0]} " in stalled[0]
        assert written.count(secret) == 1


@pytest.mark.parametrize("away", [False, True], ids=["live", "while-the-operator-is-away"])
def test_of_two_requests_for_one_secret_made_at_the_same_moment_one_gets_it(
    site: Site, cluster: ControlPlane, unique_name: str, away: bool
) -> None:
    secrets = [f"{unique_name}-{n}" for n in range(20)]
    pairs = [request(f"{secret}-{half}", "ca", secretName=secret) for secret in secrets for half in "ab"]
    if away:
        with site.operator_away():
            site.kubectl.apply(*pairs)
    else:
        site.kubectl.apply(*pairs)

    names = [pair["metadata"]["name"] for pair in pairs]

    def told() -> bool:
        return all("conditions" in r["status"] for r in site.kubectl.list(REQUEST) if r["metadata"]["name"] in names)

    wait_until("each request is told how it stands", told)
    site.settle()
    _one_of_each_pair(site, cluster, secrets)
