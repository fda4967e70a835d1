"""What kstatus, Flux and Argo CD say of objects in each state that a real operator leaves them in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.cli.support import Plugin, administrators_kubeconfig
from tests.emulators.digicert_server import BASE, DV, KEY, ORGANIZATION, OV, DigicertServer, after
from tests.emulators.sectigo_server import CUSTOMER, LOGIN, PASSWORD, SectigoServer
from tests.support.acme import rfc2136, rfc2136_secret
from tests.support.authorities import credential
from tests.support.bind import bind
from tests.support.gitops import GitOps, Verdict, rendered
from tests.support.hostile_acme import HostileAcme
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.site import REQUEST, Site, base64_text, new_namespace, running_site

DAY = 86400.0

# Issuers, by name: kstatus, Argo CD.
ISSUERS = {
    "ca": ("Current", "Healthy"),
    "no-secret": ("InProgress", "Progressing"),
    "no-credential": ("InProgress", "Progressing"),
    "unreachable": ("InProgress", "Progressing"),
    "wrong-secret": ("Failed", "Degraded"),
    "issuer-unseen": ("InProgress", "Progressing"),
}
# Requests, by name.
REQUESTS = {
    "ready": ("Current", "Healthy"),
    "unseen": ("InProgress", "Progressing"),
    "changed-unseen": ("InProgress", "Progressing"),
    "issuer-missing": ("InProgress", "Progressing"),
    "issuer-not-ready": ("InProgress", "Progressing"),
    "by-a-person": ("InProgress", "Suspended"),
    "approval": ("InProgress", "Suspended"),
    "denied": ("Failed", "Degraded"),
    "refused": ("Failed", "Degraded"),
    "renewing": ("Current", "Healthy"),
    "not-renewing": ("Current", "Healthy"),
    "changed-waiting": ("InProgress", "Progressing"),
    "changed-refused": ("Failed", "Degraded"),
    "deleted": ("Terminating", "Progressing"),
}
# Orders that are placed and wait, by request: the issuer, the reason, whom or what the message names, Argo CD.
ORDERS = {
    "acme-record-by-hand": ("acme-by-hand", "ActionRequired", "set the TXT record _acme-challenge.", "Suspended"),
    "acme-validation": ("acme", "Pending", " to validate ", "Progressing"),
    "digicert-approval": ("digicert-guarded", "ActionRequired", "administrator has to approve", "Suspended"),
    "digicert-record": ("digicert-by-hand", "ActionRequired", "set the TXT record _dnsauth.", "Suspended"),
    "digicert-processing": ("digicert", "Pending", " is processing", "Progressing"),
    "sectigo-approval": ("sectigo", "ActionRequired", "approve it there", "Suspended"),
    "sectigo-processing": ("sectigo", "Pending", "the CA is working on it", "Progressing"),
}
ONLY_EXAMPLE_COM = {"rules": [{"dnsNames": {"suffixes": ["example.com"]}}]}


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(cluster, operator_credentials, tmp_path_factory.mktemp("gitops")) as site:
        yield site


@pytest.fixture(scope="module")
def gitops(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> GitOps:
    return GitOps(cluster, tmp_path_factory.mktemp("argocd") / "argocd-cm.json")


@pytest.fixture(scope="module")
def unwatched(cluster: ControlPlane) -> Kubectl:
    """A namespace that no operator looks at."""
    return Kubectl(cluster, new_namespace(cluster))


@pytest.fixture(scope="module")
def plugin(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    return Plugin(site.kubectl.cluster, administrators_kubeconfig(site.kubectl, tmp_path_factory.mktemp("plugin")))


@pytest.fixture(scope="module")
def states(site: Site, unwatched: Kubectl, plugin: Plugin) -> dict[str, dict[str, Any]]:
    """An object in each state of the tables, by name."""
    kubectl = site.kubectl
    acme = {"server": "https://127.0.0.1:1/directory", "privateKeySecretRef": {"name": "account"}}
    digicert = {"secretName": "nowhere", "organizationId": 1, "product": "ssl_basic"}
    wrong = {"tls.crt": base64_text("no certificate"), "tls.key": base64_text("no key")}
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "wrong"},
            "type": "kubernetes.io/tls",
            "data": wrong,
        },
        issuer("no-secret", ca={"secretName": "nowhere"}),
        issuer("no-credential", digicert=digicert),
        issuer("unreachable", acme={**acme, "solvers": [{"dns01": {}}]}),
        issuer("wrong-secret", ca={"secretName": "wrong"}),
        issuer("guarded", approval="Manual", ca={"secretName": "root-tls"}),
        issuer("by-hand", manual={}),
        issuer("leaves", ca={"secretName": "root-tls"}),
        issuer("strict", ca={"secretName": "root-tls"}, policy=ONLY_EXAMPLE_COM),
        request("ready", "ca"),
        request("issuer-missing", "nowhere"),
        request("issuer-not-ready", "no-secret"),
        request("by-a-person", "by-hand"),
        request("approval", "guarded"),
        request("denied", "guarded"),
        request("refused", "strict", dnsNames=["example.org"]),
        *(request(name, "leaves") for name in ("renewing", "changed-waiting")),
        *(request(name, "strict") for name in ("not-renewing", "changed-refused")),
    )
    deleted = request("deleted", "ca")
    kubectl.apply({**deleted, "metadata": {**deleted["metadata"], "finalizers": ["example.com/stays"]}})
    unwatched.apply(request("unseen", "ca"), issuer("issuer-unseen"))
    kubectl.wait_ready("ready", "deleted", "renewing", "changed-waiting", "not-renewing", "changed-refused", seconds=90)
    kubectl("delete", "csreq", "deleted", "--wait=false")
    kubectl("delete", "csrissuer", "leaves")
    kubectl.apply(issuer("strict", ca={"secretName": "root-tls"}, policy={"default": "Deny"}))
    site.wait_condition("approval", "Reconciling", "ApprovalPending")
    plugin("deny", "denied", "--yes", "--message", "no")
    plugin("renew", "renewing", "not-renewing")
    for name in ("changed-waiting", "changed-refused"):
        patch = {"spec": {"dnsNames": [f"{name}-2.example.com"]}}
        kubectl("patch", "csreq", name, "--type=merge", "-p", json.dumps(patch))
    for name, kind, reason in (
        ("issuer-missing", "Reconciling", "IssuerNotFound"),
        ("issuer-not-ready", "Reconciling", "IssuerNotReady"),
        ("by-a-person", "Reconciling", "ActionRequired"),
        ("denied", "Stalled", "Denied"),
        ("refused", "Stalled", "PolicyDenied"),
        ("renewing", "Renewing", "IssuerNotFound"),
        ("not-renewing", "Renewing", "PolicyDenied"),
        ("changed-waiting", "Reconciling", "IssuerNotFound"),
        ("changed-refused", "Stalled", "PolicyDenied"),
    ):
        site.wait_condition(name, kind, reason)
    for name, kind, reason in (
        ("no-secret", "Reconciling", "SecretNotFound"),
        ("no-credential", "Reconciling", "SecretNotFound"),
        ("unreachable", "Reconciling", "Unavailable"),
        ("wrong-secret", "Stalled", "Misconfigured"),
    ):
        site.wait_condition(name, kind, reason, "csrissuer")
    found = {obj["metadata"]["name"]: obj for obj in (*kubectl.list("csreq"), *kubectl.list("csrissuer"))}
    found |= {obj["metadata"]["name"]: obj for obj in (*unwatched.list("csreq"), *unwatched.list("csrissuer"))}
    # As the API server shows it between a change of the spec and the operator's next look.
    metadata = {**found["ready"]["metadata"], "generation": found["ready"]["metadata"]["generation"] + 1}
    return found | {"changed-unseen": {**found["ready"], "metadata": metadata}}


def test_each_state_is_what_gitops_tools_wait_for_or_fail_at(states: dict[str, Any], gitops: GitOps) -> None:
    wanted = ISSUERS | REQUESTS
    verdicts = dict(zip(wanted, gitops.verdicts([states[name] for name in wanted]), strict=True))
    assert {name: verdict.words for name, verdict in verdicts.items()} == wanted
    assert all(verdict.argo_message for verdict in verdicts.values())
    assert "renewal: spec.issuerRef.name: Issuer " in verdicts["renewing"].argo_message
    assert "observed generation is -1" in verdicts["unseen"].kstatus_message


@pytest.fixture(scope="module")
def orders(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """The requests of ORDERS, as soon as they say what they wait for."""
    kubectl = site.kubectl
    with (
        bind(tmp_path_factory.mktemp("bind"), ("example.com",)) as dns,
        HostileAcme() as acme,
        DigicertServer(plan=after((0, "processing"))) as digicert,
        SectigoServer() as sectigo,
    ):
        acme.proves, digicert.approvals, sectigo.steps = False, True, (("Applied", 0),)
        solver = rfc2136(dns)
        by_hand = {"dns01": {key: value for key, value in solver["dns01"].items() if key != "rfc2136"}}
        account = {"server": acme.directory, "caBundle": acme.ca_bundle}
        certcentral = {"url": f"{digicert.url}{BASE}", "caBundle": digicert.ca_bundle, "secretName": "digicert"}
        validated = {**certcentral, "product": OV, "organizationId": ORGANIZATION}
        to_prove = {**certcentral, "product": DV, "dcvMethod": "dns-txt-token"}
        manager = {
            "url": f"{sectigo.url}/api",
            "caBundle": sectigo.ca_bundle,
            "customerURI": CUSTOMER,
            "login": {"secretName": "sectigo"},
            "organization": "Example Inc",
            "profile": "Public OV SSL",
        }
        kubectl.apply(
            rfc2136_secret(dns),
            credential("digicert", **{"api-key": KEY}),
            credential("sectigo", login=LOGIN, password=PASSWORD),
            issuer("acme", acme={**account, "privateKeySecretRef": {"name": "acme-1"}, "solvers": [solver]}),
            issuer("acme-by-hand", acme={**account, "privateKeySecretRef": {"name": "acme-2"}, "solvers": [by_hand]}),
            issuer("digicert", digicert={**validated, "skipApproval": True}),
            issuer("digicert-guarded", digicert=validated),
            issuer("digicert-by-hand", digicert={**to_prove, "skipApproval": True}),
            issuer("sectigo", sectigo=manager),
            *(request(name, ca) for name, (ca, *_) in ORDERS.items()),
        )

        def placed() -> int | None:
            ids = {order["commonName"]: ssl_id for ssl_id, order in sectigo.orders.items()}
            return ids.get("sectigo-approval.example.com")

        sectigo.become(wait_until("Sectigo has the order", placed), "Requested")

        def told() -> dict[str, dict[str, Any]] | None:
            found = {name: kubectl.get(REQUEST, name) for name in ORDERS}
            for name, (_, reason, words, _) in ORDERS.items():
                said = condition(found[name], "Reconciling")
                if said.get("reason") != reason or words not in said["message"]:
                    return None
            return found

        yield wait_until("each order says what it waits for", told, seconds=120)


def test_an_order_is_suspended_only_while_a_person_has_to_act(
    orders: dict[str, dict[str, Any]], gitops: GitOps
) -> None:
    verdicts = gitops.verdicts([*orders.values()])
    assert {name: verdict.words for name, verdict in zip(orders, verdicts, strict=True)} == {
        name: ("InProgress", argo) for name, (*_, argo) in ORDERS.items()
    }


def test_a_clusterissuer_has_the_health_of_an_issuer(states: dict[str, Any], gitops: GitOps) -> None:
    objects = [{**states[name], "kind": "ClusterIssuer"} for name in ISSUERS]
    assert [verdict.words for verdict in gitops.verdicts(objects)] == [*ISSUERS.values()]


def test_objects_of_others_are_left_to_argo_cd(states: dict[str, Any], gitops: GitOps) -> None:
    [verdict] = gitops.verdicts([{**states["ready"], "apiVersion": "cert-manager.io/v1"}])
    assert verdict.argo == ""


def test_kubectl_shows_the_trouble_of_a_certificate_that_is_ready(states: dict[str, Any], site: Site) -> None:
    shown = {line.split()[0]: line for line in site.kubectl("get", "csreq").splitlines()}
    assert "RENEWING" in shown["NAME"]
    assert shown["renewing"].split()[:3] == ["renewing", "True", "Issued"]
    assert "IssuerNotFound" in shown["renewing"]
    assert "PolicyDenied" in shown["not-renewing"]
    assert "; renewal: " in site.kubectl("get", "csreq", "renewing", "-o", "wide")


def test_the_plugin_tells_of_a_renewal_that_waits_and_gives_up_on_one_that_cannot_go_on(
    states: dict[str, Any], plugin: Plugin
) -> None:
    assert "Ready, but IssuerNotFound" in plugin("status", "renewing").words
    assert "goes on serving until it expires" in plugin("status", "not-renewing").words
    trouble = {item["name"]: item["inTrouble"] for item in plugin.json("status")["items"]}
    assert trouble["renewing"]
    assert trouble["not-renewing"]
    assert not trouble["ready"]


def test_flux_waits_for_what_nobody_has_looked_at(gitops: GitOps, site: Site, unwatched: Kubectl) -> None:
    assert gitops.flux(request("flux", "root"), unwatched.namespace, wait="3s") != ""
    assert gitops.flux(request("flux", "root"), site.kubectl.namespace, wait="60s") == ""


def test_flux_leaves_what_a_user_of_the_plugin_asked_for(
    gitops: GitOps, unwatched: Kubectl, plugin: Plugin, site: Site
) -> None:
    """It takes away the fields of managers whose name begins with kubectl."""
    manifest = request("wished", "ca")
    gitops.flux(manifest, unwatched.namespace)
    plugin("renew", "wished", "-n", unwatched.namespace)
    wish = unwatched.get(REQUEST, "wished")["metadata"]["annotations"]["csr-operator.dev/renew"]
    gitops.flux(manifest, unwatched.namespace)
    assert unwatched.get(REQUEST, "wished")["metadata"]["annotations"]["csr-operator.dev/renew"] == wish
    # What a plug-in before this one, or kubectl itself, has written.
    by_kubectl = ("annotate", "csreq", "wished", "--overwrite", "--field-manager=kubectl-csr")
    unwatched(*by_kubectl, "csr-operator.dev/renew=by-kubectl")
    gitops.flux(manifest, unwatched.namespace)
    assert "csr-operator.dev/renew" not in unwatched.get(REQUEST, "wished")["metadata"].get("annotations", {})
    plugin("renew", "wished", "-n", unwatched.namespace)
    assert unwatched.get(REQUEST, "wished")["metadata"]["annotations"]["csr-operator.dev/renew"]


def test_wishes_of_either_manager_are_heard(states: dict[str, Any], site: Site, plugin: Plugin) -> None:
    site.kubectl("annotate", "csreq", "ready", "--field-manager=kubectl-csr", "csr-operator.dev/renew=before")
    site.wait_status("ready", revision=2)
    plugin("renew", "ready", "--wait")
    assert site.status("ready")["revision"] == 3


def test_the_health_checks_join_an_argo_cd_that_others_install(cluster: ControlPlane, tmp_path: Path) -> None:
    health = Path(__file__).parents[2] / "deploy" / "argocd" / "health"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"url": "https://x"}}
    (tmp_path / "argocd-cm.yaml").write_text(json.dumps(config))
    relative = Path(*[".."] * len(tmp_path.resolve().parts[1:]), *health.resolve().parts[1:])
    both = {"resources": ["argocd-cm.yaml"], "components": [str(relative)], "namespace": "gitops"}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(both))
    joined, alone = rendered(cluster, tmp_path), rendered(cluster, health.parent)
    assert joined["data"] == {**alone["data"], "url": "https://x"}
    assert joined["metadata"]["name"] == alone["metadata"]["name"] == "argocd-cm"


def test_with_little_left_it_fails_and_once_expired_it_goes_on_failing(
    states: dict[str, Any], site: Site, gitops: GitOps
) -> None:
    """Last, as the operator's clock is ahead from here on."""
    late = shifted(site, gitops, 85 * DAY, {"renewing": "Stalled", "not-renewing": "Stalled"})
    assert {name: verdict.words for name, verdict in late.items()} == {
        "renewing": ("Failed", "Degraded"),
        "not-renewing": ("Failed", "Degraded"),
    }
    assert "is not renewed" in late["renewing"].argo_message
    expired = shifted(site, gitops, 95 * DAY, {"renewing": "Reconciling", "not-renewing": "Stalled"})
    assert {name: verdict.words for name, verdict in expired.items()} == {
        "renewing": ("InProgress", "Degraded"),
        "not-renewing": ("Failed", "Degraded"),
    }


def shifted(site: Site, gitops: GitOps, ahead: float, kinds: dict[str, str]) -> dict[str, Verdict]:
    """What is said of these requests with an operator so many seconds ahead, once they have these conditions."""
    with site.operator_away():
        site.operator.shift(ahead)
    ready = "False" if ahead > 90 * DAY else "True"

    def probe() -> list[dict[str, Any]] | None:
        found = [site.kubectl.get(REQUEST, name) for name in kinds]
        said = [condition(obj, kind) for obj, kind in zip(found, kinds.values(), strict=True)]
        return found if all(said) and all(condition(obj, "Ready")["status"] == ready for obj in found) else None

    return dict(zip(kinds, gitops.verdicts(wait_until(f"{ahead:.0f} s ahead", probe, seconds=90)), strict=True))
