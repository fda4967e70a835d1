"""The operator writes what it has to and nothing else, as the API server's own audit log has it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from csr_operator.api.names import STATE_KEY
from devcluster import ControlPlane
from tests.support.audit import OPERATOR, ApiCall, api_calls, writes
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import NAMESPACE, OperatorProcess
from tests.support.scene import create, idle, make_ca, wait_all_ready

NAMES = [f"leaf-{n:02}" for n in range(50)]


@dataclass(frozen=True)
class Scene:
    cluster: ControlPlane
    kubectl: Kubectl
    operator: OperatorProcess

    def reads(self) -> Counter[str]:
        """How often the operator read each object of the namespace by its name."""
        calls = api_calls(self.cluster, user=OPERATOR, verb="get", namespace=self.kubectl.namespace)
        return Counter(call.name for call in calls)

    def writes(self) -> list[ApiCall]:
        """All that the operator wrote but for the markers of `idle`."""
        calls = writes(self.cluster, self.kubectl.namespace)
        return [call for call in calls if not call.name.startswith("marker")]


@pytest.fixture(scope="module")
def scene(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """50 requests that a CA in a Secret signed, Ready."""
    kubectl = Kubectl(cluster, "write-budget")
    kubectl("create", "namespace", kubectl.namespace)
    log = tmp_path_factory.mktemp("write-budget") / "operator.log"
    with OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace) as operator:
        make_ca(kubectl)
        create(kubectl, *(request(name, "ca") for name in NAMES))
        wait_all_ready(kubectl, len(NAMES) + 1)
        yield Scene(cluster, kubectl, operator)


def test_a_certificate_costs_one_secret_and_one_status(scene: Scene) -> None:
    calls = scene.writes()

    assert Counter((call.resource, call.name) for call in calls if call.name.startswith("leaf-")) == Counter(
        [("secrets", f"{name}-tls") for name in NAMES] + [("certificaterequests/status", name) for name in NAMES]
    )
    assert {call.code for call in calls} <= {200, 201}


def test_and_one_look_whether_the_secret_is_somebody_elses(scene: Scene) -> None:
    leaves = Counter({name: count for name, count in scene.reads().items() if name.startswith("leaf-")})

    assert leaves == Counter(f"{name}-tls" for name in NAMES)


def test_at_most_one_event_is_posted_for_it(scene: Scene) -> None:
    about = Counter(event["regarding"]["name"] for event in scene.kubectl.list("events.events.k8s.io"))

    assert all(about[name] <= 1 for name in NAMES)
    assert about.total() == sum(call.resource == "events" for call in scene.writes())


def test_all_that_is_written_bears_the_operators_name(scene: Scene) -> None:
    calls = [call for call in api_calls(scene.cluster, namespace=scene.kubectl.namespace) if call.is_write]

    agents = {call.user_agent for call in scene.writes()}
    assert {call.user_agent.split()[0].split("/")[0] for call in calls} == {"csr-operator", "kubectl"}
    assert {agent.split(" (")[0] for agent in agents} == {"csr-operator"}
    assert len(agents) == 1  # of one replica
    assert [call for call in api_calls(scene.cluster, user_agent="kopf/") if call.is_write] == []
    # ClusterIssuers are everybody's, those too that other tests have left here.
    elsewhere = [call for call in writes(scene.cluster, namespace="") if call.resource != "clusterissuers/status"]
    assert elsewhere == []


def test_a_restart_writes_nothing(scene: Scene) -> None:
    scene.operator.stop()
    before = scene.writes()

    scene.operator.start()
    idle(scene.operator, scene.kubectl, "marker-restart")

    assert scene.writes() == before
    requests = scene.kubectl.list("certificaterequests")
    assert scene.operator.metric("csr_operator_request_ready", namespace=scene.kubectl.namespace) == len(requests)


def test_a_restart_reads_no_secret_but_its_own_key_and_the_cas(scene: Scene) -> None:
    """With codes over all that Secrets say, as well."""

    def read() -> Counter[str]:
        calls = api_calls(scene.cluster, user=OPERATOR, verb="get", resource="secrets")
        return Counter(call.name for call in calls if call.namespace in (NAMESPACE, scene.kubectl.namespace))

    scene.operator.stop()
    before = read()
    scene.operator.start()
    idle(scene.operator, scene.kubectl, "marker-read")
    assert (read() - before).keys() - {"marker-read-tls"} == {STATE_KEY, "root-tls"}


def test_labels_and_annotations_that_others_set_cost_no_write(scene: Scene) -> None:
    kubectl = scene.kubectl
    before = scene.writes()

    kubectl("label", "certificaterequests", "--all", "team=web")
    kubectl("annotate", "certificaterequests", "--all", "example.com/owner=web")
    kubectl("label", "secrets", "--all", "team=web")
    kubectl("annotate", "secrets", "--all", "example.com/owner=web")
    idle(scene.operator, kubectl, "marker-touched")

    assert scene.writes() == before
    labels = [secret["metadata"]["labels"] for secret in kubectl.list("secrets", "-l", "team=web")]
    assert len(labels) >= len(NAMES)


def test_a_repeated_apply_costs_no_write(scene: Scene) -> None:
    before = scene.writes()

    scene.kubectl.apply(*(request(name, "ca") for name in NAMES))
    idle(scene.operator, scene.kubectl, "marker-applied")

    assert scene.writes() == before


def test_a_request_that_waits_reads_nothing(scene: Scene) -> None:
    """But for one look, where only an approval is missing: a Secret that is to be taken over needs none."""
    kubectl, missing, unapproved = scene.kubectl, Counter[str](), Counter[str]()
    create(kubectl, issuer("strict", selfSigned={}, approval="Manual"))
    kubectl.wait_ready("strict", kind="issuer")
    for number in range(5):
        create(kubectl, request(f"missing-{number}", "absent"), request(f"unapproved-{number}", "strict"))
        missing[f"missing-{number}-tls"] = unapproved[f"unapproved-{number}-tls"] = 1

    def waiting() -> dict[str, str]:
        found = kubectl.list("certificaterequests")
        reasons = {each["metadata"]["name"]: condition(each, "Ready").get("reason", "") for each in found}
        return {name: reason for name, reason in reasons.items() if name.startswith(("missing-", "unapproved-"))}

    def read() -> Counter[str]:
        return Counter({name: n for name, n in scene.reads().items() if name in missing or name in unapproved})

    wait_until("all are told", lambda: set(waiting().values()) == {"IssuerNotFound", "ApprovalPending"})
    assert read() == unapproved
    kubectl("label", "certificaterequests", *waiting(), "team=web")
    idle(scene.operator, kubectl, "marker-waiting")
    assert read() == unapproved

    kubectl.apply(issuer("absent", selfSigned={}))
    kubectl.wait_ready(*(name.removesuffix("-tls") for name in missing))
    assert read() == missing + unapproved
