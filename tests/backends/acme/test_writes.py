"""What an ACME certificate costs the API server, by its own audit log."""

from collections import Counter

from tests.support.acme import rfc2136
from tests.support.acme_scene import Scene
from tests.support.audit import writes
from tests.support.manifests import request
from tests.support.scene import create

HOSTS = [f"cheap-{number:02}" for number in range(20)]


def test_a_certificate_by_dns01_costs_six_writes(scene: Scene) -> None:
    scene.issuer("cheap", rfc2136(scene.bind))
    create(scene.kubectl, *(request(host, "cheap") for host in HOSTS))
    for host in HOSTS:
        scene.ready(host)

    calls = writes(scene.cluster, scene.kubectl.namespace)
    made = [call for call in calls if call.name.startswith(tuple(HOSTS))]
    # Key and CSR, the order's URL, the certificate, the order's end and removal, the status.
    kinds = Counter((call.verb, call.resource) for call in made)
    assert kinds[("patch", "secrets")] == 4 * len(HOSTS)
    assert kinds[("delete", "secrets")] == len(HOSTS)
    assert kinds[("patch", "certificaterequests/status")] == len(HOSTS)
    assert kinds.total() == 6 * len(HOSTS)
    events = scene.kubectl.list("events.events.k8s.io")
    assert not [event for event in events if event["regarding"]["name"].startswith("cheap-")]
