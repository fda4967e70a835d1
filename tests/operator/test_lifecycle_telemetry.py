"""What the operator tells of its work: metrics, probes, events, a log; and never a private key."""

import re
import socket
import urllib.error
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from devcluster import ControlPlane
from tests.support.authorities import authority, other_key
from tests.support.denial import secrets_denied
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.operator import OperatorProcess
from tests.support.site import REQUEST, Site, decoded, moment, new_namespace

KEYS = {
    "rsa": {"algorithm": "RSA"},
    "ecdsa": {"encoding": "PKCS8"},
    "ed25519": {"algorithm": "Ed25519"},
    "kept": {"rotationPolicy": "Never"},
}


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An operator that logs all it can, with requests that went well and others that went wrong in many ways."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    log = tmp_path_factory.mktemp("telemetry") / "operator.log"
    policy, others = f"denied-{kubectl.namespace}", "object.metadata.name != 'denied-tls'"
    with (
        secrets_denied(kubectl, policy, others, "not this one", "denied-tls"),
        OperatorProcess(
            operator_credentials, log, "--namespace", kubectl.namespace, "--log-level", "debug"
        ) as operator,
    ):
        site = Site(kubectl, operator)
        ca = authority("Wrong CA")
        kubectl.apply(*root_and_ca())
        kubectl.wait_ready("ca", kind="issuer")  # those who wait for it would have that told too
        kubectl.apply(
            other_key(ca).secret("wrong-key"),
            issuer("wrong-key", ca={"secretName": "wrong-key"}),
            ca.secret("foreign-tls"),
            authority("Last CA", path_length=0).secret("last"),
            issuer("last", ca={"secretName": "last"}),
            *(request(name, "ca", privateKey=key) for name, key in KEYS.items()),
            request("unready", "wrong-key"),
            request("foreign", "ca"),
            request("orphan", "nobody"),
            request("refused", "last", commonName="Sub CA", isCA=True),
            request("denied", "ca"),
            request("passing", "ca"),
        )
        kubectl.wait_ready(*KEYS, "passing")
        kubectl("delete", REQUEST, "passing")
        kubectl("delete", "secret", "rsa-tls")
        kubectl("patch", "secret", "ecdsa-tls", "--type=merge", "-p", '{"data": {"tls.crt": ""}}')
        kubectl("patch", "secret", "kept-tls", "--type=merge", "-p", '{"data": {"tls.crt": ""}}')
        for name in ("rsa", "ecdsa", "kept"):
            site.wait_status(name, revision=2)
        # Attempts go on in the background while the tests look.
        wait_until("three attempts failed", lambda: operator.metric("csr_operator_failures_total") >= 4)
        for name, reason in FAILURES.items():
            site.wait_condition(name, "Ready", reason)
        yield site


FAILURES = {
    "unready": "IssuerNotReady",
    "foreign": "SecretNotOwned",
    "orphan": "IssuerNotFound",
    "refused": "Rejected",
    "denied": "SecretRefused",
}


def _samples(site: Site) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """All samples by name and labels; those of requests without the namespace, which is always the same."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(site.operator.get("/metrics")):
        for sample in family.samples:
            labels = dict(sample.labels)
            if labels.get("kind") == "ClusterIssuer":
                continue  # whosever it is
            assert labels.pop("namespace", site.kubectl.namespace) == site.kubectl.namespace
            found.setdefault(sample.name, {})[tuple(sorted(labels.items()))] = sample.value
    return found


def test_metrics_tell_of_each_request(site: Site) -> None:
    samples = _samples(site)
    statuses = {r["metadata"]["name"]: r.get("status", {}) for r in site.kubectl.list(REQUEST)}

    def of(metric: str) -> dict[str, float]:
        return {dict(labels)["name"]: value for labels, value in samples[f"csr_operator_request_{metric}"].items()}

    assert of("ready") == {name: float(name not in FAILURES) for name in statuses}
    issued = {name: status for name, status in statuses.items() if "notAfter" in status}
    assert of("expiry_timestamp_seconds") == {n: moment(s["notAfter"]).timestamp() for n, s in issued.items()}
    assert of("renewal_timestamp_seconds") == {n: moment(s["renewalTime"]).timestamp() for n, s in issued.items()}
    assert set(issued) == {"root", *KEYS}


def test_metrics_tell_of_what_stands_still(site: Site) -> None:
    conditions = {
        (c["name"], c["type"], c["reason"])
        for c in (dict(labels) for labels in _samples(site)["csr_operator_request_condition"])
    }

    assert ("refused", "Stalled", "Rejected") in conditions
    assert ("unready", "Reconciling", "IssuerNotReady") in conditions
    assert not [name for name, _, _ in conditions if name in KEYS]


def test_metrics_tell_of_each_issuer(site: Site) -> None:
    samples = _samples(site)
    ready = {dict(labels)["name"]: value for labels, value in samples["csr_operator_issuer_ready"].items()}
    (root,) = (r for r in site.kubectl.list(REQUEST) if r["metadata"]["name"] == "root")

    assert ready == {"root": 1.0, "ca": 1.0, "last": 1.0, "wrong-key": 0.0}
    expiry = {
        dict(labels)["name"]: value
        for labels, value in samples["csr_operator_issuer_ca_expiry_timestamp_seconds"].items()
    }
    assert expiry.keys() == {"ca", "last"}
    assert expiry["ca"] == moment(root["status"]["notAfter"]).timestamp()


def test_it_says_which_version_it_is(site: Site) -> None:
    version = metadata.version("csr-operator")

    assert f"csr-operator {version}, Python" in site.operator.log.read_text().splitlines()[0]
    (labels,) = _samples(site)["csr_operator_build_info"]
    assert dict(labels)["version"] == version


def test_the_log_tells_what_became_of_each_request(site: Site) -> None:
    namespace, log = site.kubectl.namespace, site.operator.log.read_text().splitlines()

    def told(name: str) -> list[str]:
        about = f": CertificateRequest {namespace}/{name}: "
        return [line.partition(" ")[2].partition(" ")[2].replace(about, ": ") for line in log if about in line]

    serials = {name: site.status(name)["serialNumber"] for name in ("ed25519", "rsa")}
    (issued,) = told("ed25519")
    assert issued.startswith("INFO csr_operator.control.journal: issued by Issuer/ca: revision 1, serial number ")
    assert serials["ed25519"] in issued
    assert issued.endswith("1 name: ed25519.example.com")
    again = told("rsa")[-1]
    assert "issued by Issuer/ca because of SecretMissing: revision 2" in again
    assert serials["rsa"] in again
    (refused,) = told("refused")
    assert refused.startswith("WARNING csr_operator.control.journal: Rejected: ")
    (unready,) = told("unready")
    assert unready.startswith("INFO csr_operator.control.journal: IssuerNotReady: ")
    (misconfigured,) = (line for line in log if f"Issuer {namespace}/wrong-key: Misconfigured: " in line)
    assert " WARNING csr_operator.control.issuers: " in misconfigured


def test_metrics_count_the_work(site: Site) -> None:
    samples = _samples(site)

    def value(metric: str, **labels: str) -> float:
        return samples[f"csr_operator_{metric}"][tuple(sorted(labels.items()))]

    certificates = len(KEYS) + 1 + 3  # `passing`, and three anew: one for a Secret that was gone, two into theirs
    assert value("issuance_duration_seconds_count", backend="ca") == certificates
    assert value("issuance_duration_seconds_count", backend="selfSigned") == 1
    assert value("issuance_duration_seconds_sum", backend="ca") > 0
    assert value("ca_calls_total", backend="ca", call="submit", outcome="rejected") == 1
    assert value("ca_calls_total", backend="ca", call="check", outcome="misconfigured") >= 1
    assert value("ca_calls_total", backend="ca", call="check", outcome="ok") >= 1
    # The Secret that is somebody else's is seen before the CA is asked; that one is denied only when it is written.
    assert value("ca_calls_total", backend="ca", call="submit", outcome="ok") >= certificates + 3
    assert value("failures_total", reason="Rejected") == 1
    assert value("failures_total", reason="SecretRefused") >= 3
    made = value("kubernetes_calls_total", verb="apply", resource="secrets", code="201")
    assert made - (certificates - 1) in (0, 1)  # the first operator of a cluster makes the key of its state as well
    assert value("kubernetes_calls_total", verb="apply", resource="secrets", code="200") == 2
    assert value("kubernetes_calls_total", verb="patch", resource="certificaterequests/status", code="200") >= 9
    assert value("queue_latency_seconds_count") > 9
    assert value("queue_depth") == 0


def test_no_label_has_unbounded_values(site: Site) -> None:
    names = {name for samples in _samples(site).values() for labels in samples for name, _ in labels}
    assert names <= {
        *("name", "backend", "call", "outcome", "reason", "verb", "resource", "code", "le"),
        *("kind", "type", "version", "python", "state"),
    }


def test_the_probes_of_a_working_operator(site: Site) -> None:
    assert site.operator.get("/healthz") == "ok\n"
    assert site.operator.get("/readyz") == "ok\n"


def test_it_lives_but_is_not_ready_before_it_has_listed(operator_credentials: Path, tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        config = yaml.safe_load(operator_credentials.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{nobody.getsockname()[1]}"
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        operator = OperatorProcess(kubeconfig, tmp_path / "operator.log")
        operator.launch()
        try:
            # Before it lists, it reads the key of the state.
            waits = re.compile(r"WARNING .* Secret csr-operator-state-key: .*Cannot connect to host .*; trying again")
            wait_until("it says what it waits for", lambda: len(waits.findall(operator.log.read_text())) >= 2)
            assert operator.get("/healthz") == "ok\n"
            with pytest.raises(urllib.error.HTTPError) as refused:
                operator.get("/readyz")
            assert refused.value.code == 503
            refused.value.close()
        finally:
            assert operator.stop() == 0


@pytest.mark.parametrize(("name", "reason"), FAILURES.items(), ids=FAILURES)
def test_a_failure_is_one_warning_in_words(site: Site, name: str, reason: str) -> None:
    (event,) = wait_until("there is an event", lambda: site.warnings(name))
    (ready,) = (c for c in site.status(name)["conditions"] if c["type"] == "Ready")
    assert (event["reason"], event["note"]) == (reason, ready["message"])
    assert event["regarding"]["kind"] == "CertificateRequest"
    assert event["regarding"]["uid"] == site.kubectl.get(REQUEST, name)["metadata"]["uid"]
    assert event["reportingController"] == "csr-operator.dev"
    described = site.kubectl("describe", "csreq", name)
    assert ready["message"] in described.split("Events:")[1]


def test_the_longest_name_has_its_event_too(site: Site) -> None:
    name = "a" * 199 + "-" + "b" * 53
    site.kubectl.apply(request(name, "nobody", dnsNames=["a.example.com"], secretName="long"))

    (event,) = wait_until("there is an event", lambda: site.warnings(name))
    assert event["reason"] == "IssuerNotFound"
    site.kubectl("delete", REQUEST, name)


def test_going_on_to_fail_is_no_news(site: Site) -> None:
    """Three attempts, many checks of the issuers: still one event each."""
    wait_until(
        "the Secret was denied again",
        lambda: site.operator.metric("csr_operator_failures_total", reason="SecretRefused") >= 3,
    )
    checks = site.operator.metric("csr_operator_ca_calls_total", call="check")
    wait_until(
        "the issuers were checked again",
        lambda: site.operator.metric("csr_operator_ca_calls_total", call="check") >= checks + 4,
    )
    assert {name: len(site.warnings(name)) for name in FAILURES} == dict.fromkeys(FAILURES, 1)


def test_a_new_revision_is_told_with_its_cause(site: Site) -> None:
    events = site.kubectl.list("events.events.k8s.io", "--field-selector=type=Normal")
    told = {event["regarding"]["name"]: event for event in events if event["reason"] == "Issued"}
    assert set(told) == {"rsa", "ecdsa", "kept"}
    assert told["rsa"]["note"] == "revision 2, because of SecretMissing"
    assert told["rsa"]["action"] == "SecretMissing"


def test_no_private_key_is_told_to_anybody(site: Site) -> None:
    told = "\n".join(
        [
            site.operator.log.read_text(),
            site.operator.get("/metrics"),
            site.kubectl("get", "events", "-o", "yaml"),
            site.kubectl("get", f"{REQUEST},issuers", "-o", "yaml"),
            site.kubectl("describe", "csreq"),
        ]
    )
    secrets = site.kubectl.list("secrets")
    assert len(secrets) >= 8
    assert "DEBUG" in told
    assert "PRIVATE KEY" not in told
    for secret in secrets:
        pem, encoded = decoded(secret)["tls.key"], secret["data"]["tls.key"]
        # A shorter last line can be the end of the public key.
        lines = [line for line in pem.splitlines() if len(line) == 64]
        pieces = [encoded[n : n + 64] for n in range(0, len(encoded) - 63, 64)]
        assert lines
        assert not [part for part in lines + pieces if part in told], secret["metadata"]["name"]
