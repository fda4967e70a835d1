"""Somebody else writes the same objects all the time."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from kubernetes import client, watch

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.certificates import assert_whole
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.scene import create, make_ca, wait_all_ready

CALLS = "csr_operator_kubernetes_calls_total"
STATUS = "certificaterequests/status"
NAMES = [f"leaf-{n}" for n in range(6)]


@contextmanager
def _relabelled(core: Any, namespace: str) -> Iterator[None]:
    """Every request of NAMES is patched all the time, as fast as the API server lets one client."""
    stop = threading.Event()
    api = client.CustomObjectsApi(core.api_client)

    def relabel() -> None:
        for n in itertools.count():
            for name in NAMES:
                if stop.is_set():
                    return
                api.patch_namespaced_custom_object(
                    "csr-operator.dev",
                    "v1alpha1",
                    namespace,
                    "certificaterequests",
                    name,
                    {"metadata": {"labels": {"n": str(n)}}},
                    _content_type="application/merge-patch+json",
                )

    thread = threading.Thread(target=relabel)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_labels_that_change_all_the_time_cost_no_second_certificate(
    cluster: ControlPlane, kubectl: Kubectl, core: Any, operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    operator.kill()
    create(kubectl, *(request(name, "ca") for name in NAMES))

    with _relabelled(core, kubectl.namespace):
        operator.start()
        wait_until("a status was refused", lambda: operator.metric(CALLS, resource=STATUS, code="409") > 0, 60)
        wait_until("all Secrets are written", lambda: len(kubectl.list("secrets")) == len(NAMES) + 1, 60)
    requests = wait_all_ready(kubectl, len(NAMES) + 1)

    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    for each in requests:
        assert_whole(each, secrets[each["spec"]["secretName"]])
        assert each["status"]["revision"] == 1
    issued = Counter(call.name for call in writes(cluster, kubectl.namespace) if call.resource == "secrets")
    assert {name: issued[f"{name}-tls"] for name in NAMES} == dict.fromkeys(NAMES, 1)


def test_secrets_that_are_deleted_the_moment_they_appear(
    kubectl: Kubectl, core: Any, operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    operator.kill()
    names = {f"leaf-{n:03}" for n in range(150)}
    create(kubectl, *(request(name, "ca") for name in names))
    operator.launch()
    deleted: set[str] = set()

    with ThreadPoolExecutor(8) as pool:
        watching = watch.Watch()  # type: ignore[no-untyped-call]
        events = watching.stream(  # type: ignore[no-untyped-call]
            core.list_namespaced_secret, kubectl.namespace, timeout_seconds=60
        )
        for event in events:
            secret = event["object"].metadata.name
            if secret.removesuffix("-tls") in names and secret not in deleted:
                deleted.add(secret)
                pool.submit(core.delete_namespaced_secret, secret, kubectl.namespace)
            if len(deleted) == len(names):
                break

    wait_until("all are there again", lambda: len(kubectl.list("secrets")) == len(names) + 1, seconds=60)
    wait_until("every status is of the Secret there is", lambda: _agree(kubectl), seconds=60)
    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    for each in kubectl.list("certificaterequests"):
        assert_whole(each, secrets[each["spec"]["secretName"]])


def test_a_request_that_is_made_anew_starts_afresh(kubectl: Kubectl, operator: OperatorProcess) -> None:
    constraints = {"permitted": {"dnsDomains": ["example.com"]}}
    root = request("root", "root", commonName="Root", isCA=True, duration="87600h", nameConstraints=constraints)
    kubectl.apply(issuer("root"), root, issuer("ca", ca={"secretName": "root-tls"}))
    kubectl.wait_ready("ca", kind="issuer")
    # The CA will refuse the name, but is asked only when there is a key, which takes seconds.
    create(kubectl, request("www", "ca", dnsNames=["www.example.org"], privateKey={"algorithm": "RSA", "size": 6144}))

    kubectl("delete", "certificaterequest", "www")
    create(kubectl, request("www", "ca", dnsNames=["www.example.com"]))

    kubectl.wait_ready("www", seconds=90)


def _agree(kubectl: Kubectl) -> bool:
    annotation = "csr-operator.dev/sha256-fingerprint"
    stored = {s["metadata"]["name"]: s["metadata"]["annotations"][annotation] for s in kubectl.list("secrets")}
    shown = {
        r["spec"]["secretName"]: r.get("status", {}).get("sha256Fingerprint")
        for r in kubectl.list("certificaterequests")
    }
    return stored == shown
