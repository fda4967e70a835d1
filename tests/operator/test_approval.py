"""An issuer with `approval: Manual` signs what somebody who may has approved, as it stood; admission guards who may."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.cli.support import rule, user
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.site import REQUEST, Site

STATUS = (rule("certificaterequests", "get list watch"), rule("certificaterequests/status", "get patch update"))
RENEW = "csr-operator.dev/renew"


@pytest.fixture(scope="module", autouse=True)
def issuers(site: Site) -> None:
    site.kubectl.apply(*(issuer(name, selfSigned={}, approval="Manual") for name in ("guarded", "other")))
    site.kubectl.wait_ready("guarded", "other", kind="issuer")


class User:
    """One who decides, by calls of the API: `kubectl patch` reads first, which not everybody may."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        api = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
        self._api = client.CustomObjectsApi(api)
        self._namespace = namespace

    def sets(self, request: dict[str, Any], *decisions: dict[str, Any], dry_run: bool = False) -> str:
        """Put these in the place of what was decided before; returns what the API server has against it."""
        kept = [c for c in request["status"]["conditions"] if c["type"] not in ("Approved", "Denied")]
        try:
            self._api.patch_namespaced_custom_object_status(
                group="csr-operator.dev",
                version="v1alpha1",
                plural="certificaterequests",
                namespace=self._namespace,
                name=request["metadata"]["name"],
                body={"status": {"conditions": [*kept, *decisions]}},
                dry_run="All" if dry_run else None,
            )
        except client.ApiException as refused:
            return str(json.loads(refused.body or "{}")["message"])
        return ""


@pytest.fixture(scope="module")
def users(site: Site, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, User]:
    """By what they may: each a ServiceAccount with a token of its own, but for the administrator and the operator."""
    folder, namespace = tmp_path_factory.mktemp("users"), site.kubectl.namespace

    def may(name: str, *issuer_names: str) -> User:
        approves = [{**rule("issuers", "approve"), "resourceNames": list(issuer_names)}] if issuer_names else []
        return User(user(site.kubectl, folder, name, *STATUS, *approves).kubeconfig, namespace)

    editor = user(site.kubectl, folder, "editor").kubeconfig
    site.kubectl("create", "rolebinding", "edits", "--clusterrole=edit", f"--serviceaccount={namespace}:editor")
    found = {
        "approver": may("approver", "guarded"),
        "approver-of-both": may("approver-of-both", "guarded", "other"),
        "approver-of-another": may("approver-of-another", "other"),
        "writer-of-status": may("writer-of-status"),
        "editor": User(editor, namespace),
        "operator": User(operator_credentials, namespace),
        "administrator": User(site.kubectl.cluster.kubeconfig, namespace),
    }
    probe = ask(site, "probe")
    wait_until(
        "the admission policy is in force",
        lambda: "require the permission" in found["writer-of-status"].sets(probe, given("Approved"), dry_run=True),
        seconds=60,
    )
    return found


def given(kind: str, status: str = "True", generation: int | None = 1, **more: str) -> dict[str, Any]:
    """A condition as an approver writes it."""
    found: dict[str, Any] = {
        "type": kind,
        "status": status,
        "reason": "ByHand",
        "message": "ticket 7",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return found | ({} if generation is None else {"observedGeneration": generation}) | more


def ask(site: Site, name: str, issuer_name: str = "guarded", **spec: Any) -> dict[str, Any]:
    """A request that waits for somebody to decide."""
    site.kubectl.apply(request(name, issuer_name, **spec))
    site.wait_condition(name, "Reconciling", "ApprovalPending")
    return now(site, name)


def now(site: Site, name: str) -> dict[str, Any]:
    return site.kubectl.get(REQUEST, name)


REFUSALS = {
    "approver-of-another": "Approved and Denied require the permission `approve` on Issuer guarded, which system:",
    "writer-of-status": "Approved and Denied require the permission `approve` on Issuer guarded, which system:",
    "operator": "which system:serviceaccount:csr-operator-system:csr-operator does not have: ask somebody who has it",
    "editor": 'cannot patch resource "certificaterequests/status"',
}


@pytest.mark.parametrize("who", REFUSALS)
def test_who_may_not_approve_neither_sets_changes_nor_removes_a_decision(
    site: Site, users: dict[str, User], who: str
) -> None:
    name = f"for-{who}"
    undecided = ask(site, name)
    for decision in ("Approved", "Denied"):
        assert REFUSALS[who] in users[who].sets(undecided, given(decision))
    assert users["approver"].sets(undecided, given("Denied")) == ""
    for attempt in ([], [given("Denied", "False")], [given("Denied", message="no more")], [given("Approved")]):
        assert REFUSALS[who] in users[who].sets(now(site, name), *attempt)
    assert condition(site.kubectl.get(REQUEST, name), "Denied") == given("Denied")
    assert not site.kubectl.get("secret", f"{name}-tls")


@pytest.mark.parametrize("who", ["approver", "approver-of-both", "administrator"])
def test_who_may_approve_has_it_signed(site: Site, users: dict[str, User], who: str) -> None:
    name = f"by-{who}"
    ask(site, name)
    assert users[who].sets(now(site, name), given("Approved")) == ""
    site.kubectl.wait_ready(name)


def test_a_request_cannot_bring_its_approval_along(site: Site, users: dict[str, User]) -> None:
    site.kubectl.apply({**request("own-hand", "guarded"), "status": {"conditions": [given("Approved")]}})
    site.wait_condition("own-hand", "Reconciling", "ApprovalPending")
    assert not condition(site.kubectl.get(REQUEST, "own-hand"), "Approved")


def test_an_approval_is_for_one_spec_and_for_all_its_renewals(site: Site, users: dict[str, User]) -> None:
    ask(site, "www")
    users["approver"].sets(now(site, "www"), given("Approved"))
    site.kubectl.wait_ready("www")
    site.kubectl("annotate", REQUEST, "www", f"{RENEW}=1")
    site.wait_status("www", revision=2)

    site.kubectl.apply(request("www", "guarded", dnsNames=["other.example.com"]))

    pending = site.wait_condition("www", "Reconciling", "ApprovalPending")
    assert f"has to run `kubectl csr approve www -n {site.kubectl.namespace} --generation " in pending["message"]
    assert site.status("www")["revision"] == 2
    generation = site.kubectl.get(REQUEST, "www")["metadata"]["generation"]
    stale = users["approver"].sets(now(site, "www"), given("Approved", generation=generation - 1, reason="Late"))
    assert "an approval is for the spec as it stands: set observedGeneration" in stale
    assert "set observedGeneration" in users["approver"].sets(
        now(site, "www"), given("Approved", generation=None, reason="New")
    )
    assert users["approver"].sets(now(site, "www"), given("Approved", generation=generation)) == ""
    site.wait_status("www", revision=3)


def test_a_denial_stalls_until_it_is_taken_back(site: Site, users: dict[str, User]) -> None:
    ask(site, "shop")
    approver = users["approver"]
    assert approver.sets(now(site, "shop"), given("Denied", message="not our name")) == ""
    stalled = site.wait_condition("shop", "Stalled", "Denied")
    assert stalled["message"] == "not our name; change the request, or have it approved"
    assert "is Approved or Denied, not both" in approver.sets(now(site, "shop"), given("Denied"), given("Approved"))
    assert approver.sets(now(site, "shop"), given("Denied", "False"), given("Approved", "False")) == ""
    site.wait_condition("shop", "Reconciling", "ApprovalPending")
    assert approver.sets(now(site, "shop"), given("Denied", "False"), given("Approved")) == ""
    site.kubectl.wait_ready("shop")


def test_an_approval_that_is_taken_back_counts_from_the_next_renewal(site: Site, users: dict[str, User]) -> None:
    ask(site, "fickle")
    users["approver"].sets(now(site, "fickle"), given("Approved"))
    site.kubectl.wait_ready("fickle")
    secret = site.kubectl.get("secret", "fickle-tls")
    assert users["approver"].sets(now(site, "fickle")) == ""
    site.settle()
    assert [c["type"] for c in site.status("fickle")["conditions"]] == ["Ready"]

    site.kubectl("annotate", REQUEST, "fickle", f"{RENEW}=1")

    site.wait_condition("fickle", "Renewing", "ApprovalPending")
    assert condition(site.kubectl.get(REQUEST, "fickle"), "Ready")["status"] == "True", "it is still in force"
    assert site.kubectl.get("secret", "fickle-tls") == secret


def test_of_several_issuers_each_has_to_be_ones_own_to_approve(site: Site, users: dict[str, User]) -> None:
    refs = [{"name": "guarded"}, {"name": "other"}]
    ask(site, "either", issuerRef=None, issuerRefs=refs)
    for who in ("approver", "approver-of-another"):
        assert "the permission `approve` on Issuer guarded and Issuer other" in users[who].sets(
            now(site, "either"), given("Approved")
        )
    assert users["approver-of-both"].sets(now(site, "either"), given("Approved")) == ""
    site.kubectl.wait_ready("either")


def test_a_cluster_issuer_takes_a_right_in_the_cluster(site: Site, users: dict[str, User], tmp_path: Path) -> None:
    name = unique("guarded")
    site.kubectl.apply(issuer(name, kind="ClusterIssuer", selfSigned={}, approval="Manual"))
    # The right to an Issuer of that name is another.
    here = user(site.kubectl, tmp_path, "namesake", *STATUS, {**rule("issuers", "approve"), "resourceNames": [name]})
    namesake = User(here.kubeconfig, site.kubectl.namespace)
    ask(site, name, issuerRef={"name": name, "kind": "ClusterIssuer"})
    assert f"the permission `approve` on ClusterIssuer {name}" in namesake.sets(now(site, name), given("Approved"))

    verbs = ("--verb=approve", "--resource=clusterissuers.csr-operator.dev", f"--resource-name={name}")
    site.kubectl("create", "clusterrole", name, *verbs)
    account = f"--serviceaccount={site.kubectl.namespace}:namesake"
    site.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)

    assert wait_until("the right is there", lambda: namesake.sets(now(site, name), given("Approved")) == "")
    site.kubectl.wait_ready(name)


def test_the_operator_leaves_a_decision_as_and_where_it_is(site: Site, users: dict[str, User]) -> None:
    ask(site, "kept")
    types = ["Ready", "Reconciling", "Approved"]
    approved = given("Approved", message="by Ann,\nwith care")
    users["approver"].sets(now(site, "kept"), approved)
    site.kubectl.wait_ready("kept")
    for value in ("1", "2"):
        site.kubectl("annotate", REQUEST, "kept", f"{RENEW}={value}", "--overwrite")
        conditions = site.wait_status("kept", revision=1 + int(value))["conditions"]
        assert [c["type"] for c in conditions] == [kind for kind in types if kind != "Reconciling"]
        assert conditions[1] == approved


def test_a_decision_that_changes_nothing_costs_no_write(site: Site, users: dict[str, User]) -> None:
    site.kubectl.apply(request("free", "root"))
    site.kubectl.wait_ready("free")
    assert users["administrator"].sets(now(site, "free"), given("Approved")) == ""
    decided = site.kubectl.get(REQUEST, "free")
    site.settle()
    assert site.kubectl.get(REQUEST, "free") == decided
