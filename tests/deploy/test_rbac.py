"""Who may do what once the base is applied, as the API server's own authorizer answers."""

import json
from collections.abc import Callable, Iterable
from itertools import product

import pytest

from tests.support.kubectl import Kubectl, wait_until

READ = {"get", "list", "watch"}
WRITE = {"create", "delete", "deletecollection", "patch", "update"}
VERBS = sorted(READ | WRITE)
APPROVE, MANAGE = "approve", "manage-state"
KINDS = ("certificaterequests", "issuers", "clusterissuers")
ROLES = ("view", "edit", "admin")
GROUP = "csr-operator.dev"
TENANT = "rbac-tenant"

# resource.group to the verbs that the operator has in every namespace and none of which it could do without.
OPERATOR = {
    **{f"{kind}.{GROUP}": READ for kind in KINDS},
    **{f"{kind}/status.{GROUP}": {"patch"} for kind in KINDS},
    # Its finalizer, where a certificate is to be revoked at deletion.
    f"certificaterequests.{GROUP}": READ | {"patch"},
    "secrets": READ | {"create", "patch", "delete"},
    "namespaces": {"get"},
    "events.events.k8s.io": {"create"},
    # No objects: what an admission policy asks about.
    f"certificatestates.{GROUP}": {MANAGE},
}
# What it has in its own namespace only.
ITS_OWN = {
    resource: {"list", "create", "patch", "delete"}
    for resource in ("ingresses.networking.k8s.io", "httproutes.gateway.networking.k8s.io", "configmaps")
} | {"leases.coordination.k8s.io": {"list", "create", "update", "delete"}}
NOT_THE_OPERATORS = (
    *(f"{kind}/finalizers.{GROUP}" for kind in KINDS),
    *ITS_OWN,
    "events",
    "nodes",
    "pods",
    "pods/exec",
    "serviceaccounts",
    "serviceaccounts/token",
    "users",
    "deployments.apps",
    "certificatesigningrequests.certificates.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "*.*",
)

Question = tuple[str, str, str]  # user, resource.group, verb
Ask = Callable[[Iterable[Question]], dict[Question, bool]]


@pytest.fixture(scope="module")
def ask(base: Kubectl) -> Ask:
    """What `kubectl auth can-i --as` asks, many at a time and in the tenant's namespace."""

    def answers(questions: Iterable[Question]) -> dict[Question, bool]:
        questions = list(questions)
        reviews = {
            "apiVersion": "v1",
            "kind": "List",
            "items": [_review(*question) for question in questions],
        }
        output = 'jsonpath={.status.allowed}{"\\n"}'
        allowed = base("create", "-f", "-", "-o", output, stdin=json.dumps(reviews))
        return {question: word == "true" for question, word in zip(questions, allowed.split(), strict=True)}

    return answers


def _review(user: str, resource: str, verb: str, namespace: str = TENANT) -> dict[str, object]:
    resource, _, group = resource.partition(".")
    resource, _, subresource = resource.partition("/")
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    attributes = {"group": group, "resource": resource, "subresource": subresource, "verb": verb}
    if resource != "clusterissuers":
        attributes["namespace"] = namespace
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }


@pytest.fixture(scope="module")
def operator_may(base: Kubectl, ask: Ask) -> dict[Question, bool]:
    user = f"system:serviceaccount:{base.namespace}:csr-operator"
    return ask(product([user], [*OPERATOR, *NOT_THE_OPERATORS], [*VERBS, APPROVE, MANAGE]))


@pytest.mark.parametrize("resource", [*OPERATOR, *NOT_THE_OPERATORS])
def test_the_operator_may_do_what_it_needs_and_nothing_else(operator_may: dict[Question, bool], resource: str) -> None:
    allowed = {verb for (_, asked, verb), yes in operator_may.items() if asked == resource and yes}
    assert allowed == OPERATOR.get(resource, set())


@pytest.mark.parametrize("resource", ITS_OWN)
def test_what_leads_a_ca_to_the_operator_is_made_in_its_own_namespace(base: Kubectl, resource: str) -> None:
    user = f"system:serviceaccount:{base.namespace}:csr-operator"
    reviews = [_review(user, resource, verb, base.namespace) for verb in VERBS]
    output = 'jsonpath={.status.allowed}{"\\n"}'
    said = base(
        *("create", "-f", "-", "-o", output),
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews}),
    )
    allowed = {verb for verb, word in zip(VERBS, said.split(), strict=True) if word == "true"}
    assert allowed == ITS_OWN[resource]


@pytest.fixture(scope="module")
def users_may(base: Kubectl, ask: Ask) -> dict[Question, bool]:
    """Users `view`, `edit` and `admin` have that role in the tenant's namespace, `cluster-view` ... everywhere."""
    base("create", "namespace", TENANT)
    for role in ROLES:
        base("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "-n", TENANT)
        base("create", "clusterrolebinding", f"rbac-{role}", f"--clusterrole={role}", f"--user=cluster-{role}")
    granted: list[Question] = [(role, f"issuers.{GROUP}", "list") for role in ROLES]
    wait_until("view, edit and admin are aggregated", lambda: all(ask(granted).values()), seconds=60)
    users = [*ROLES, *(f"cluster-{role}" for role in ROLES)]
    resources = [f"{kind}{part}.{GROUP}" for kind in KINDS for part in ("", "/status")]
    return ask(product(users, [*resources, f"certificatestates.{GROUP}"], [*VERBS, APPROVE, MANAGE]))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ROLES)
def test_the_roles_of_users(users_may: dict[Question, bool], role: str, kind: str, verb: str) -> None:
    """Issuers are read only: see the component issuers-for-editors."""
    namespaced = kind != "clusterissuers"
    everywhere = verb in READ or (kind == "certificaterequests" and role != "view")
    assert users_may[role, f"{kind}.{GROUP}", verb] is (namespaced and everywhere)
    assert users_may[f"cluster-{role}", f"{kind}.{GROUP}", verb] is everywhere


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ROLES)
def test_the_status_is_the_operators_alone(users_may: dict[Question, bool], role: str, kind: str) -> None:
    asked = [(user, f"{kind}/status.{GROUP}", verb) for user in (role, f"cluster-{role}") for verb in VERBS]
    assert not any(users_may[question] for question in asked)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ROLES)
def test_nobody_may_approve_by_a_role_of_the_cluster(users_may: dict[Question, bool], role: str, kind: str) -> None:
    """Whom an issuer trusts with that is for its owner to say."""
    assert not any(users_may[user, f"{kind}.{GROUP}", APPROVE] for user in (role, f"cluster-{role}"))


@pytest.mark.parametrize("role", ROLES)
def test_nobody_writes_the_operators_state_by_a_role_of_the_cluster(users_may: dict[Question, bool], role: str) -> None:
    assert not any(users_may[user, f"certificatestates.{GROUP}", MANAGE] for user in (role, f"cluster-{role}"))


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        ("csr-operator-issuers", {f"issuers.{GROUP}": WRITE}),
        ("csr-operator-state-manager", {f"certificatestates.{GROUP}": {MANAGE}}),
    ],
)
def test_a_role_to_bind_by_hand(base: Kubectl, ask: Ask, role: str, granted: dict[str, set[str]]) -> None:
    base("create", "rolebinding", role, f"--clusterrole={role}", f"--user=by-{role}", "-n", TENANT)
    resources = [*(f"{kind}{part}.{GROUP}" for kind in KINDS for part in ("", "/status")), f"certificatestates.{GROUP}"]
    may = ask(product([f"by-{role}"], [*resources, "secrets"], [*VERBS, APPROVE, MANAGE]))
    allowed = {resource: {v for (_, r, v), yes in may.items() if r == resource and yes} for resource in resources}
    assert {resource: verbs for resource, verbs in allowed.items() if verbs} == granted


def test_the_role_of_approvers_reads_what_status_shows_but_no_secret_and_writes_the_decision(
    base: Kubectl, ask: Ask
) -> None:
    base("create", "rolebinding", "approver", "--clusterrole=csr-operator-approver", "--user=approver", "-n", TENANT)
    resources = [f"{kind}{part}.{GROUP}" for kind in KINDS for part in ("", "/status")]
    may = ask(product(["approver"], [*resources, "secrets", "events.events.k8s.io"], [*VERBS, APPROVE]))
    allowed = {(r, v) for (_, r, v), yes in may.items() if yes}
    found = {resource: {v for r, v in allowed if r == resource} for resource, _ in allowed}
    assert found == {
        "events.events.k8s.io": {"list"},
        f"issuers.{GROUP}": {"get"},  # and clusterissuers, with a ClusterRoleBinding
        f"certificaterequests.{GROUP}": READ,
        f"certificaterequests/status.{GROUP}": {"get", "patch", "update"},
    }
