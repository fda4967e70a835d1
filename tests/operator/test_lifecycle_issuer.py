"""Issuers whose CA is late, broken, rotated or gone, and what becomes of the requests that need it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.authorities import KeyPair, authority, credential, other_key
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.openssl import certificate_text, end_date, verify
from tests.support.operator import NAMESPACE as SYSTEM_NAMESPACE
from tests.support.operator import OperatorProcess
from tests.support.site import REQUEST, Site, moment, new_namespace

GOOD = authority("Good CA")
BROKEN: dict[str, tuple[dict[str, Any] | None, str]] = {
    "late": (None, "does not exist: a CertificateRequest with isCA and that secretName makes it; or create"),
    "wrong-key": (
        other_key(GOOD).secret("wrong-key"),
        "tls.key: it is not the key of a certificate in tls.crt: give the",
    ),
    "expired": (authority("Old CA", ends_in=timedelta(days=-1)).secret("expired"), "is not valid now"),
    "not-a-ca": (authority("Leaf", is_ca=False).secret("not-a-ca"), "is not a CA certificate"),
    "no-key": (credential("no-key", **{"tls.crt": GOOD.certificate}), "tls.key is missing"),
    "no-certificate": (KeyPair("nonsense", GOOD.key).secret("no-certificate"), "there is no certificate in it"),
}
"""The Secret of a CA that cannot sign, and what its issuer is to say of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The issuer and the request of one case, while its Secret was broken and after it was mended."""

    issuer: dict[str, Any]
    request: dict[str, Any]
    mended_issuer: dict[str, Any]
    mended_request: dict[str, Any]


@pytest.fixture(scope="module")
def seen(site: Site) -> dict[str, Seen]:
    def all_are(status: str) -> dict[str, dict[str, Any]] | None:
        objects = site.kubectl.list(f"issuers,{REQUEST}")
        cases = {f"{o['kind']} {o['metadata']['name']}": o for o in objects if o["metadata"]["name"] in BROKEN}
        done = len(cases) == 2 * len(BROKEN) and all(
            condition(o, "Ready").get("status") == status for o in cases.values()
        )
        return cases if done else None

    secrets = [secret for secret, _ in BROKEN.values() if secret is not None]
    site.kubectl.apply(*secrets, *(issuer(name, ca={"secretName": name}) for name in BROKEN))
    site.kubectl.apply(*(request(name, name) for name in BROKEN))
    broken = wait_until("the broken issuers and their requests are not Ready", lambda: all_are("False"))

    for name, (secret, _) in BROKEN.items():
        if secret is not None and secret["type"] == "Opaque":  # the type of a Secret cannot be changed
            site.kubectl("delete", "secret", name)
    site.kubectl.apply(*(GOOD.secret(name) for name in BROKEN))
    mended = wait_until("the issuers and their requests are Ready", lambda: all_are("True"))
    return {
        name: Seen(
            *(state[f"{kind} {name}"] for state in (broken, mended) for kind in ("Issuer", "CertificateRequest"))
        )
        for name in BROKEN
    }


@pytest.mark.parametrize("name", BROKEN)
def test_a_ca_that_cannot_sign_is_told_in_words(seen: dict[str, Seen], name: str) -> None:
    ready = condition(seen[name].issuer, "Ready")
    late = BROKEN[name][0] is None
    assert (ready["status"], ready["reason"]) == ("False", "SecretNotFound" if late else "Misconfigured")
    beside = condition(seen[name].issuer, "Reconciling" if late else "Stalled")
    assert (beside["status"], beside["message"]) == ("True", ready["message"])
    assert name in ready["message"]
    assert BROKEN[name][1] in ready["message"]


@pytest.mark.parametrize("name", BROKEN)
def test_requests_wait_for_their_issuer(seen: dict[str, Seen], name: str) -> None:
    said = condition(seen[name].issuer, "Ready")["message"]
    for kind, status in (("Ready", "False"), ("Reconciling", "True")):
        found = condition(seen[name].request, kind)
        assert (found["status"], found["reason"]) == (status, "IssuerNotReady")
        assert found["message"].endswith(f"/{name} is not ready: {said}")
    assert not condition(seen[name].request, "Stalled")


@pytest.mark.parametrize("name", BROKEN)
def test_issuer_and_requests_recover_by_themselves(seen: dict[str, Seen], name: str) -> None:
    assert "CN=Good CA" in condition(seen[name].mended_issuer, "Ready")["message"]
    for mended in (seen[name].mended_issuer, seen[name].mended_request):
        assert [c["type"] for c in mended["status"]["conditions"]] == ["Ready"]


def test_an_issuer_that_comes_after_its_request_is_noticed(site: Site) -> None:
    site.kubectl.apply(request("early", "to-come"))
    reconciling = site.wait_condition("early", "Reconciling", "IssuerNotFound")
    assert "to-come does not exist: create it" in reconciling["message"]

    site.kubectl.apply(issuer("to-come"))

    site.kubectl.wait_ready("early")


def test_a_cluster_issuer_takes_its_ca_from_the_operators_namespace(
    site: Site, cluster: ControlPlane, tmp_path: Path
) -> None:
    name = unique("everywhere")
    ca = authority("Cluster CA")
    Kubectl(cluster, SYSTEM_NAMESPACE).apply(ca.secret(name))
    site.kubectl.apply(issuer(name, kind="ClusterIssuer", ca={"secretName": name}))
    site.kubectl.apply(request("anywhere", name, issuerRef={"name": name, "kind": "ClusterIssuer"}))

    site.kubectl.wait_ready("anywhere")

    data = site.data("anywhere-tls")
    assert data["ca.crt"] == ca.certificate
    verify(tmp_path, data)
    assert site.kubectl("get", "clusterissuer", name, "--no-headers").split()[:2] == [name, "True"]


def test_a_request_for_an_issuer_does_not_take_the_cluster_issuer_of_that_name(site: Site) -> None:
    name = unique("only-cluster")
    meant = f"ClusterIssuer {name} does: set spec.issuerRef.kind to ClusterIssuer"

    def told() -> str:
        """Which issuer is not there, and what to do."""
        message = str(site.wait_condition(name, "Reconciling", "IssuerNotFound")["message"])
        return message.removeprefix(f"spec.issuerRef.name: Issuer {site.kubectl.namespace}/{name} does not exist: ")

    site.kubectl.apply(request(name, name))
    assert told() == "create it, or correct the name"
    site.kubectl.apply(issuer(name, kind="ClusterIssuer"))
    wait_until("it is told what may have been meant", lambda: told().startswith(meant))
    site.kubectl("delete", "clusterissuer", name)
    wait_until("and no longer when that is gone", lambda: told() == "create it, or correct the name")


def _another_pair(site: Site, ca: str) -> None:
    site.kubectl.apply(authority("Second CA").secret(ca))


def _another_secret(site: Site, ca: str) -> None:
    site.kubectl.apply(authority("Second CA").secret(f"{ca}-2"), issuer(ca, ca={"secretName": f"{ca}-2"}))


def _another_pair_by_the_operator(site: Site, ca: str) -> None:
    site.kubectl("delete", "secret", ca)


@pytest.mark.parametrize("rotate", [_another_pair, _another_secret, _another_pair_by_the_operator])
def test_when_a_ca_is_rotated_its_leaves_are_issued_anew(
    site: Site, tmp_path: Path, rotate: Callable[[Site, str], None]
) -> None:
    ca = rotate.__name__.strip("_").replace("_", "-")
    by_the_operator = request(ca, "root", commonName="First CA", isCA=True, secretName=ca)
    site.kubectl.apply(
        by_the_operator if rotate is _another_pair_by_the_operator else authority("First CA").secret(ca),
        issuer(ca, ca={"secretName": ca}),
        *(leaves := [request(f"{ca}-leaf-{n}", ca) for n in range(2)]),
    )
    names = [leaf["metadata"]["name"] for leaf in leaves]
    site.kubectl.wait_ready(*names)
    before = [site.data(f"{name}-tls")["ca.crt"] for name in names]

    rotate(site, ca)

    for name in names:
        status = site.wait_status(name, revision=2)
        assert [(c["type"], c["status"]) for c in status["conditions"]] == [("Ready", "True")]
        data = site.data(f"{name}-tls")
        assert data["ca.crt"] not in before
        verify(tmp_path, data)


def test_leaves_of_a_rotated_ca_are_left_alone_until_their_turn(
    cluster: ControlPlane, operator_credentials: Path, tmp_path: Path
) -> None:
    kubectl = Kubectl(cluster, new_namespace(cluster))
    centuries = ("--namespace", kubectl.namespace, "--rotation-spread", "1e10")
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *centuries) as operator:
        site = Site(kubectl, operator)
        kubectl.apply(authority("Old CA").secret("ca"), issuer("ca", ca={"secretName": "ca"}), request("www", "ca"))
        kubectl.wait_ready("www")
        www, secret = kubectl.get(REQUEST, "www"), kubectl.get("secret", "www-tls")

        kubectl.apply(authority("New CA").secret("ca"))
        wait_until("the issuer signs as the new CA", lambda: "CN=New CA" in str(kubectl.get("issuer", "ca")["status"]))
        site.settle()

        assert kubectl.get(REQUEST, "www") == www
        assert kubectl.get("secret", "www-tls") == secret
        kubectl.apply(request("new", "ca"))
        kubectl.wait_ready("new")
        assert "Issuer: CN=New CA" in certificate_text(site.data("new-tls")["tls.crt"])


def test_no_certificate_outlives_its_ca(site: Site) -> None:
    ca = authority("Ending CA", ends_in=timedelta(hours=1))
    site.kubectl.apply(
        ca.secret("ending"),
        issuer("ending", ca={"secretName": "ending"}),
        request("ending", "ending", duration="2160h"),
    )

    site.kubectl.wait_ready("ending")

    status = site.status("ending")
    assert end_date(site.data("ending-tls")["tls.crt"]) == end_date(ca.certificate)
    assert moment(status["notBefore"]) < moment(status["renewalTime"]) < moment(status["notAfter"])


def test_a_ca_below_path_length_zero_is_refused_in_words(site: Site) -> None:
    site.kubectl.apply(
        authority("Last CA", path_length=0).secret("last"),
        issuer("last", ca={"secretName": "last"}),
        request("sub-ca", "last", commonName="Sub CA", isCA=True),
    )

    stalled = site.wait_condition("sub-ca", "Stalled", "Rejected")

    assert "Last CA" in stalled["message"]
    assert "path length 0" in stalled["message"]
    assert condition(site.kubectl.get(REQUEST, "sub-ca"), "Ready")["status"] == "False"
    assert not site.kubectl.get("secret", "sub-ca-tls")
    assert len(site.warnings("sub-ca")) == 1

    site.kubectl.apply(authority("Last CA", path_length=1).secret("last"))
    site.kubectl.wait_ready("sub-ca")


def test_a_ca_that_is_broken_for_a_while_costs_its_leaves_nothing(site: Site) -> None:
    ca = authority("Shaky CA")
    site.kubectl.apply(ca.secret("shaky"), issuer("shaky", ca={"secretName": "shaky"}), request("calm", "shaky"))
    site.kubectl.wait_ready("calm")
    before, secret = site.kubectl.get(REQUEST, "calm"), site.kubectl.get("secret", "calm-tls")

    site.kubectl.apply(other_key(ca).secret("shaky"))
    site.wait_condition("shaky", "Ready", "Misconfigured", object_kind="issuer")
    site.kubectl.apply(ca.secret("shaky"))
    site.kubectl.wait_ready("shaky", kind="issuer")
    site.settle()

    assert site.kubectl.get(REQUEST, "calm") == before
    assert site.kubectl.get("secret", "calm-tls") == secret


def test_certificates_outlive_their_issuer(site: Site) -> None:
    site.kubectl.apply(issuer("leaving", ca={"secretName": "root-tls"}), request("staying", "leaving"))
    site.kubectl.wait_ready("staying")
    before, secret = site.kubectl.get(REQUEST, "staying"), site.kubectl.get("secret", "staying-tls")

    site.kubectl("delete", "issuer", "leaving")
    site.settle()

    after = site.kubectl.get(REQUEST, "staying")
    ready = condition(after, "Ready")
    assert ready["status"] == "True"
    assert "Issuer " in ready["message"]
    words = "/leaving does not exist, so the certificate cannot be renewed: create it, or correct the name"
    assert ready["message"].endswith(words)
    assert after["status"]["serialNumber"] == before["status"]["serialNumber"]
    assert site.kubectl.get("secret", "staying-tls") == secret
