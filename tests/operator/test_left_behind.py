"""Requests that go in the ways that Kubernetes knows: what is to be revoked is, nothing is ordered, nothing stays.

With `--cascade=foreground`, as Argo CD deletes, the Secret is deleted before its request is gone; with
`--cascade=orphan` nothing is deleted with it.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.revocation import (
    CA,
    FINALIZER,
    GROUP,
    ISSUER,
    ON_DELETE,
    ask,
    crl,
    crl_text,
    events,
    finalizers,
    make_revoking_ca,
    serial,
    wait_gone,
)
from tests.support.site import REQUEST, Site, decoded, new_namespace
from tests.support.third_party import install

HASTY = Path(__file__).parents[1] / "support" / "hasty_backend"
CALLS = "csr_operator_ca_calls_total"


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With the issuers `revoking`, which keeps a list, and `patient`, whose orders stay pending."""
    folder = tmp_path_factory.mktemp("left-behind")
    (installed := folder / "installed").mkdir()
    install(HASTY, installed)
    kubectl = Kubectl(cluster, new_namespace(cluster))
    arguments = (folder / "operator.log", "--namespace", kubectl.namespace)
    with OperatorProcess(operator_credentials, *arguments, installed=installed) as operator:
        site = Site(kubectl, operator)
        make_revoking_ca(site)
        kubectl.apply(issuer("patient", external={"name": "patient", "config": {}}))
        kubectl.wait_ready("patient", kind="issuer")
        yield site


def delete(site: Site, cascade: str, *names: str) -> None:
    site.kubectl("delete", REQUEST, *names, f"--cascade={cascade}", "--wait=false")


def submitted(site: Site) -> float:
    return site.operator.metric(CALLS, call="submit")


def certificates(site: Site, *names: str) -> list[str]:
    """Of these requests, which are issued for first, with onDelete."""
    site.kubectl.apply(*(request(name, "revoking", revocation=ON_DELETE) for name in names))
    site.kubectl.wait_ready(*names, seconds=90)
    secrets = {s["metadata"]["name"]: decoded(s) for s in site.kubectl.list("secrets")}
    return [secrets[f"{name}-tls"]["tls.crt"] for name in names]


def are_listed(site: Site, *pems: str) -> bool:
    text = crl_text(crl(site))
    return all(f"Serial Number: {serial(pem)}" in text for pem in pems)


def has_finalizer(site: Site, secret: str) -> bool:
    return FINALIZER in site.kubectl.get("secret", secret)["metadata"].get("finalizers", [])


def test_deleting_in_the_foreground_orders_nothing_and_revokes_all(site: Site) -> None:
    revoked, plain = [f"revoked-{n:02}" for n in range(25)], [f"plain-{n:02}" for n in range(25)]
    site.kubectl.apply(*(request(name, "revoking") for name in plain))
    pems = certificates(site, *revoked)
    site.kubectl.wait_ready(*plain, seconds=90)
    before = submitted(site)

    for pair in zip(revoked, plain, strict=True):
        delete(site, "foreground", *pair)

    wait_until("all are gone", lambda: not site.kubectl.list(REQUEST), seconds=120)
    wait_until("their Secrets as well", lambda: "-tls" not in site.kubectl("get", "secrets", "-o", "name"))
    site.settle()
    assert are_listed(site, *pems)
    assert submitted(site) == before + 1, "but for that of the marker"
    assert [note for name in revoked for note in events(site, name, "NotRevoked")] == []


def test_what_is_deleted_without_its_issuer_waits_for_it(site: Site) -> None:
    names = [f"later-{n}" for n in range(3)]
    pems = certificates(site, *names)
    before = submitted(site)
    site.kubectl("delete", "issuer", "revoking")

    delete(site, "foreground", *names)

    for name in names:
        site.wait_condition(name, "Stalled", "RevocationPending")
        assert has_finalizer(site, f"{name}-tls")
    site.kubectl.apply(issuer("revoking", ca=ISSUER))
    for name in names:
        wait_gone(site, name)
    assert are_listed(site, *pems)
    assert submitted(site) == before
    wait_until("their Secrets as well", lambda: "later-" not in site.kubectl("get", "secrets", "-o", "name"))


@pytest.mark.parametrize("way", ["given up", "by force"])
def test_and_need_not_wait(site: Site, way: str) -> None:
    name = way.replace(" ", "-")
    certificates(site, name)
    site.kubectl("delete", "issuer", "revoking")
    delete(site, "foreground", name)
    site.wait_condition(name, "Stalled", "RevocationPending")

    if way == "given up":
        site.kubectl("annotate", REQUEST, name, f"{GROUP}/abandon-revocation=true")
    else:
        site.kubectl("patch", REQUEST, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')

    wait_gone(site, name)
    wait_until("its Secret is gone", lambda: not site.kubectl.get("secret", f"{name}-tls"))
    site.kubectl.apply(CA.secret("revoking-ca"), issuer("revoking", ca=ISSUER))
    site.kubectl.wait_ready("revoking", kind="issuer")


def test_a_secret_that_its_user_deletes_is_made_again(site: Site) -> None:
    certificates(site, "healed")

    site.kubectl("delete", "secret", "healed-tls", "--timeout=30s")

    site.wait_status("healed", revision=2)
    assert has_finalizer(site, "healed-tls")
    site.kubectl.apply(request("healed", "revoking"))
    wait_until("neither is held", lambda: not has_finalizer(site, "healed-tls") and not finalizers(site, "healed"))
    assert site.status("healed")["revision"] == 2


def test_a_secret_from_before_is_held_as_well(site: Site) -> None:
    ask(site, "older")
    site.kubectl.apply(request("older", "revoking", revocation=ON_DELETE))
    wait_until("both are held", lambda: has_finalizer(site, "older-tls") and finalizers(site, "older") == [FINALIZER])
    assert site.status("older")["revision"] == 1


def test_what_cannot_be_revoked_any_more_is_told_of(site: Site) -> None:
    (pem,) = certificates(site, "lost")
    with site.operator_away():
        site.kubectl("patch", "secret", "lost-tls", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        delete(site, "foreground", "lost")
        wait_until("the Secret is gone", lambda: not site.kubectl.get("secret", "lost-tls"))

    wait_gone(site, "lost")
    [note] = wait_until("it is told", lambda: events(site, "lost", "NotRevoked"))
    number = serial(pem).lstrip("0")
    assert note.startswith((f"the certificate {number} was not", f"the certificate 0{number} was not"))
    assert not are_listed(site, pem)


def test_a_secret_that_is_to_stay_is_not_held(site: Site) -> None:
    (pem,) = certificates(site, "kept")

    delete(site, "orphan", "kept")

    wait_gone(site, "kept")
    wait_until("nothing holds it", lambda: not has_finalizer(site, "kept-tls"))
    assert decoded(site.kubectl.get("secret", "kept-tls"))["tls.crt"] == pem


def orders(site: Site, name: str) -> list[str]:
    """The Secrets of a request's orders under way."""
    staged = site.kubectl.list("secrets", "-l", f"{GROUP}/staging=true")
    return [s["metadata"]["name"] for s in staged if s["metadata"]["name"].startswith(f"{name}-")]


@pytest.mark.parametrize("operator", ["running", "away"])
def test_an_order_that_lost_its_owner_is_taken_back(site: Site, operator: str) -> None:
    site.kubectl.apply(request(operator, "patient"))
    site.wait_condition(operator, "Reconciling", "ActionRequired")

    assert len(orders(site, operator)) == 1
    before = 0.0
    if operator == "running":
        before = site.operator.metric(CALLS, call="abandon")
        delete(site, "orphan", operator)
    else:
        with site.operator_away():
            delete(site, "orphan", operator)
            wait_gone(site, operator)
            assert len(orders(site, operator)) == 1

    wait_gone(site, operator)
    wait_until("the order's Secret is gone", lambda: not orders(site, operator))
    assert site.operator.metric(CALLS, call="abandon") == before + 1


@pytest.mark.parametrize("operator", ["running", "away"])
def test_an_order_is_taken_back_also_while_nobody_collects_garbage(
    site: Site, cluster: ControlPlane, operator: str
) -> None:
    name = f"early-{operator}"
    site.kubectl.apply(request(name, "patient"))
    site.wait_condition(name, "Reconciling", "ActionRequired")
    away = site.operator_away() if operator == "away" else nullcontext()

    with cluster.without_controllers():
        with away:
            delete(site, "background", name)
            wait_gone(site, name)
        wait_until("the order's Secret is gone", lambda: not orders(site, name))


def test_a_namespace_can_be_deleted_with_all_that(site: Site) -> None:
    certificates(site, "last-0", "last-1")
    site.kubectl.apply(request("pending", "patient"), request("orphaned", "patient"))
    site.wait_condition("pending", "Reconciling", "ActionRequired")
    site.wait_condition("orphaned", "Reconciling", "ActionRequired")
    assert condition(site.kubectl.get(REQUEST, "last-0"), "Ready")["status"] == "True"
    delete(site, "orphan", "orphaned")
    Kubectl(site.kubectl.cluster, "default")("delete", "namespace", site.kubectl.namespace, "--timeout=120s")
