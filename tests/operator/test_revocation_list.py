"""The list that a `ca` issuer keeps: always in force, never shorter, and nobody else's Secret."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.authorities import authority, opaque
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.openssl import certificate_text, openssl
from tests.support.operator import NAMESPACE as SYSTEM_NAMESPACE
from tests.support.operator import OperatorProcess
from tests.support.revocation import (
    CA,
    ISSUER,
    ON_DELETE,
    ON_ROTATION,
    URL,
    ask,
    checked,
    crl,
    crl_text,
    events,
    finalizers,
    make_revoking_ca,
    number,
    serial,
)
from tests.support.site import REQUEST, Site, decoded, new_namespace


@pytest.fixture(scope="module", autouse=True)
def revoking(site: Site) -> None:
    make_revoking_ca(site)


def test_a_list_is_there_from_the_beginning_and_certificates_say_where(site: Site, tmp_path: Path) -> None:
    certificate = ask(site, "www")
    assert f"X509v3 CRL Distribution Points: Full Name: URI:{URL}" in certificate_text(certificate)
    assert checked(tmp_path, certificate, crl(site)) == "OK"
    assert finalizers(site, "www") == []


def test_a_secret_of_another_is_no_place_for_a_list(site: Site) -> None:
    site.kubectl.apply(opaque("theirs", note="mine"))
    before = site.kubectl.get("secret", "theirs")
    site.kubectl.apply(issuer("rude", ca={"secretName": "revoking-ca", "crl": {"secretName": "theirs"}}))
    ready = site.wait_condition("rude", "Ready", "Misconfigured", "issuer")
    where = f"Secret {site.kubectl.namespace}/theirs"
    assert ready["message"] == f"{where} is not the issuer's to write: name another one, or none that exists"
    # Nor is that of another issuer.
    site.kubectl.apply(issuer("ruder", ca={"secretName": "revoking-ca", "crl": {"secretName": "crl"}}))
    site.wait_condition("ruder", "Ready", "Misconfigured", "issuer")
    assert site.kubectl.get("secret", "theirs") == before
    site.kubectl("delete", "issuer", "rude", "ruder")  # it would take the name as soon as it is free


def test_a_list_that_was_deleted_comes_back_with_all_that_was_on_it(site: Site, tmp_path: Path) -> None:
    certificate = ask(site, "remembered", revocation=ON_DELETE)
    site.kubectl("delete", REQUEST, "remembered", "--timeout=30s")
    listed = number(crl(site))

    site.kubectl("delete", "secret", "crl")

    wait_until("the list is there again", lambda: crl(site))
    assert checked(tmp_path, certificate, crl(site)) == "certificate revoked"
    assert number(crl(site)) > listed


def test_the_list_is_renewed_before_it_ends(
    site: Site, cluster: ControlPlane, operator_credentials: Path, tmp_path: Path
) -> None:
    certificate, before = ask(site, "fresh"), crl(site)
    with site.operator_away():
        ahead = timedelta(days=4).total_seconds()
        log = tmp_path / "ahead.log"
        with OperatorProcess(operator_credentials, log, "--namespace", site.kubectl.namespace, clock_offset=ahead):
            wait_until("the list is renewed", lambda: crl(site) != before)
    renewed = crl(site)
    assert number(renewed) == number(before) + 1
    dates = [openssl("crl", "-noout", "-nextupdate", stdin=pem) for pem in (before, renewed)]
    assert dates[0] != dates[1]
    # It begins to hold in four days.
    assert checked(tmp_path, certificate, renewed) == "CRL is not yet valid"


def test_a_ca_with_another_key_goes_on_with_a_list_of_its_own(site: Site, tmp_path: Path) -> None:
    pairs = [authority("Rotated CA") for _ in range(2)]
    spec = {"secretName": "turning", "crl": {"secretName": "turning-crl"}}
    site.kubectl.apply(pairs[0].secret("turning"), issuer("turning", ca=spec))
    old = ask(site, "turned", "turning", revocation=ON_ROTATION)
    before = crl(site, "turning-crl")

    site.kubectl.apply(pairs[1].secret("turning"))

    site.wait_status("turned", revision=2)
    # Its key is gone, so that nobody can list what it signed any more; who trusts the new one does not trust that.
    [note] = wait_until("it is told", lambda: events(site, "turned", "NotRevoked"))
    assert note.endswith("was not revoked: it was issued with another key than the CA has now")
    lists = site.data("turning-crl")
    assert number(lists["ca.crl"]) > number(before)
    assert checked(tmp_path, site.data("turned-tls")["tls.crt"], lists["ca.crl"], pairs[1]) == "OK"
    [kept] = [pem for name, pem in lists.items() if name.endswith(".crl") and name != "ca.crl"]
    assert checked(tmp_path, old, kept, pairs[0]) == "OK"


@pytest.fixture
def sites(cluster: ControlPlane, operator_credentials: Path, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """Two namespaces, each with an operator of its own."""
    kubectls = [Kubectl(cluster, new_namespace(cluster)) for _ in range(2)]
    first, second = (
        OperatorProcess(operator_credentials, tmp_path / f"{k.namespace}.log", "--namespace", k.namespace)
        for k in kubectls
    )
    with first, second:
        yield Site(kubectls[0], first), Site(kubectls[1], second)


def test_many_revocations_at_once_by_two_operators_lose_none(
    cluster: ControlPlane, sites: tuple[Site, Site], tmp_path: Path
) -> None:
    name, ca = unique("shared"), authority("Shared CA")
    system = Site(Kubectl(cluster, SYSTEM_NAMESPACE), sites[0].operator)
    system.kubectl.apply(ca.secret(name))
    spec = {"secretName": name, "crl": {"secretName": f"{name}-crl"}}
    system.kubectl.apply(issuer(name, kind="ClusterIssuer", ca=spec))
    names = [f"r{n:02}" for n in range(12)]
    ref = {"name": name, "kind": "ClusterIssuer"}
    for site in sites:
        site.kubectl.apply(*(request(one, name, issuerRef=ref, revocation=ON_DELETE) for one in names))
    certificates = []
    for site in sites:
        site.kubectl.wait_ready(*names)
        certificates += [decoded(secret)["tls.crt"] for secret in site.kubectl.list("secrets")]
    assert len(certificates) == 2 * len(names)

    for site in sites:
        site.kubectl("delete", REQUEST, *names, "--wait=false")

    for site in sites:
        wait_until("all are gone", lambda site=site: not site.kubectl.list(REQUEST), seconds=120)  # type: ignore[misc]
    text = crl_text(crl(system, f"{name}-crl"))
    assert all(f"Serial Number: {serial(certificate)}" in text for certificate in certificates)


def test_a_namespace_can_be_deleted_with_what_is_owed_in_it(cluster: ControlPlane, sites: tuple[Site, Site]) -> None:
    site = sites[0]
    site.kubectl.apply(CA.secret("revoking-ca"), issuer("revoking", ca=ISSUER))
    for n in range(3):
        ask(site, f"r{n}", revocation=ON_DELETE)
    Kubectl(cluster, "default")("delete", "namespace", site.kubectl.namespace, "--timeout=60s")
