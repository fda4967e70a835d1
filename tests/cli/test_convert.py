"""`kubectl csr convert`: manifests of cert-manager as they are found in the field, and what becomes of them."""

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from csr_operator.cli import main
from csr_operator.cli.convert import convert, render
from devcluster import ControlPlane
from tests.support.kubectl import Kubectl
from tests.support.site import new_namespace

FOLDER = Path(__file__).parent / "cert_manager"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def of(file: str) -> dict[str, tuple[dict[str, Any] | None, str]]:
    """The object, if any, and all notes of each document, by the first word or two of its comment."""
    found = convert(yaml.safe_load_all((FOLDER / f"{file}.yaml").read_text()))
    return {" ".join(one.notes[0].split(":")[0].split()[:2]): (one.obj, "\n".join(one.notes)) for one in found}


def one(spec: dict[str, Any], kind: str = "Certificate", **metadata: Any) -> tuple[dict[str, Any], str]:
    """What becomes of one object in namespace n."""
    document = {"apiVersion": "cert-manager.io/v1", "kind": kind, "spec": spec}
    (found,) = convert([{**document, "metadata": {"name": "www", "namespace": "n", **metadata}}])
    assert found.obj is not None
    return found.obj["spec"], "\n".join(found.notes)


def certificate(**spec: Any) -> tuple[dict[str, Any], str]:
    return one({"secretName": "www-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["www.example.com"], **spec})


@pytest.fixture(scope="module")
def kubectl(cluster: ControlPlane) -> Kubectl:
    return Kubectl(cluster, new_namespace(cluster))


@pytest.mark.parametrize("file", FILES)
def test_the_api_server_takes_what_comes_out(file: str, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "-f", str(FOLDER / f"{file}.yaml")]) == 0
    documents = [obj for obj in yaml.safe_load_all(capsys.readouterr().out) if obj is not None]
    assert documents
    for obj in documents:
        if "namespace" in obj["metadata"]:
            obj["metadata"]["namespace"] = kubectl.namespace
        done = subprocess.run(
            [kubectl.cluster.kubectl, "create", "--dry-run=server", "--validate=strict", "-f", "-"],
            env=kubectl.cluster.env,
            input=json.dumps(obj),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_of_kubebuilder_the_certificate_goes_over_and_the_injection_does_not() -> None:
    found = of("kubebuilder")
    obj, _ = found["Certificate system/serving-cert"]
    assert obj is not None
    assert obj["metadata"] == {
        "name": "serving-cert",
        "namespace": "system",
        "labels": {"app.kubernetes.io/name": "project"},
    }
    assert obj["spec"] == {
        "dnsNames": ["webhook-service.system.svc", "webhook-service.system.svc.cluster.local"],
        "secretName": "webhook-server-cert",
        "issuerRef": {"name": "selfsigned-issuer", "kind": "Issuer"},
        "privateKey": {"algorithm": "RSA", "size": 2048},
    }
    webhook, notes = found["ValidatingWebhookConfiguration validating-webhook"]
    assert webhook is None
    assert "CA injector, which has no counterpart here: keep cert-manager for it" in notes


def test_of_a_server_in_days_and_with_a_name_twice() -> None:
    obj, notes = of("ovn")["Certificate ovn/ovn-server"]
    assert obj is not None
    assert (obj["spec"]["duration"], obj["spec"]["renewBefore"]) == ("2160h", "360h")
    assert obj["spec"]["dnsNames"] == ["ovn-nb.ovn.svc", "ovn-sb.ovn.svc"]
    assert "spec.duration: 90d is written as 2160h" in notes
    assert "spec.dnsNames: what it has twice stands there once" in notes
    assert '"key encipherment" is for RSA keys: with ECDSA the certificate has none' in notes
    issuer, notes = of("ovn")["Issuer ovn/ovn-ca"]
    assert issuer is not None
    assert issuer["spec"] == {"ca": {"secretName": "ovn-ca"}}
    assert "distributionPoints http://crl.example.com/ovn.crl" in notes


def test_of_a_list_from_the_cluster_only_what_users_write_goes_over() -> None:
    found = of("kubelet")
    obj, notes = found["Certificate kube-system/node-1"]
    assert obj is not None
    assert obj["metadata"] == {"name": "node-1", "namespace": "kube-system", "annotations": {"team": "nodes"}}
    assert obj["spec"]["usages"] == ["digital signature", "client auth", "server auth"]
    assert obj["spec"]["privateKey"] == {"algorithm": "Ed25519", "encoding": "PKCS8"}
    assert "status" not in obj
    for words in ("issue-temporary-certificate: left out", '"encipher only": left out', '"cert sign": left out'):
        assert words in notes
    for other in ("CertificateRequest kube-system/node-1-1", "Order kube-system/node-1-1-123"):
        assert found[other] == (None, f"{other}: left out, as cert-manager makes it, for one attempt")


def test_of_all_fields_each_goes_over_or_is_named() -> None:
    obj, notes = of("everything")["Certificate sandbox/example-com"]
    assert obj is not None
    given = yaml.safe_load((FOLDER / "everything.yaml").read_text())["spec"]
    spec = obj["spec"]
    for field in ("secretTemplate", "privateKey", "additionalOutputFormats", "subject", "otherNames", "usages", "uris"):
        assert spec[field] == given[field]
    assert spec["keystores"]["jks"]["passwordSecretRef"] == {"name": "example-com-tls-keystore", "key": "password"}
    assert "changeit" not in json.dumps(obj) + notes
    missing = (given.keys() - spec.keys()) - {"isCA"}
    assert missing == {
        *("nameConstraints", "signatureAlgorithm", "encodeUsagesInRequest", "revisionHistoryLimit", "somethingNew"),
    }
    for field in missing:
        assert f"spec.{field}: left out: " in notes
    for words in (
        "CA injector, which reads that Secret",
        "AWSPCAClusterIssuer of awspca.cert-manager.io is an external issuer: make ClusterIssuer ca-issuer",
        "spec.keystores.jks.password: passwords are not written into the request here",
        "kubectl create secret generic example-com-tls-keystore -n sandbox --from-file=password=FILE (no line break",
        "spec.keystores.pkcs12.profile: Modern2023 instead of LegacyRC2",
    ):
        assert words in notes


def test_of_an_ingress_its_certificate_is_the_users_own_from_now_on() -> None:
    found = of("wildcard")
    wildcard, _ = found["Certificate infra/wildcard"]
    assert wildcard is not None
    assert len(wildcard["spec"]["secretTemplate"]["annotations"]) == 2
    assert wildcard["spec"]["renewBeforePercentage"] == 25
    shop, notes = found["Certificate infra/shop-tls"]
    assert shop is not None
    assert "ownerReferences" not in shop["metadata"]
    assert "Ingress shop had it made" in notes
    assert "write a CertificateRequest with its hosts" in found["Ingress infra/shop"][1]
    assert found["Service infra/shop"] == (None, "Service infra/shop (v1): left out")


def test_of_a_ca_everything_goes_over() -> None:
    obj, notes = of("ca")["Certificate pki/sub-ca"]
    assert obj is not None
    (given, _) = yaml.safe_load_all((FOLDER / "ca.yaml").read_text())
    assert obj["spec"] == given["spec"] | {"issuerRef": {"name": "root", "kind": "Issuer"}}
    stays = "spec.deletionPolicy: the Secret is deleted with this request; Retain keeps it, as cert-manager does"
    assert notes == f"Certificate pki/sub-ca\n- {stays}"


def test_of_a_cluster_issuer_of_acme_with_its_solvers() -> None:
    obj, notes = of("issuers")["ClusterIssuer letsencrypt"]
    assert obj is not None
    first, second, third = obj["spec"]["acme"]["solvers"]
    assert first["http01"]["ingress"]["ingressClassName"] == "nginx"
    assert second["dns01"]["lexicon"] == {
        "provider": "cloudflare",
        "credentialsSecretRef": {"name": "letsencrypt-cloudflare"},
    }
    assert third["dns01"]["lexicon"]["options"] == {"zone_id": "Z123"}
    for words in (
        "cert-manager agreed for you",
        "Secret letsencrypt-account has to be in the operator's namespace",
        "serviceType: left out: there are no solver pods",
        "cnameStrategy: left out: CNAME records are always followed",
        "auth_token=\"$(kubectl get secret cloudflare-api-token-secret -n cert-manager -o jsonpath='{.data.api-token}'",
        r"jsonpath='{.data.secret\.key}'",
        "role: left out",
        "solvers[3]: left out: selector.matchLabels",
        "webhook solvers of cert-manager (hetzner of acme.hetzner.com)",
    ):
        assert words in notes, words


def test_of_a_private_acme_server() -> None:
    obj, notes = of("issuers")["Issuer shop/internal"]
    assert obj is not None
    acme = obj["spec"]["acme"]
    assert acme["caBundle"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert acme["externalAccountBinding"] == {"keyID": "kid", "keySecretRef": {"name": "eab", "key": "secret"}}
    assert (acme["profile"], acme["disableAccountKeyGeneration"], acme["enableDurationFeature"]) == (
        *("shortlived", True, True),
    )
    providers = [solver.get("dns01", {}).get("lexicon", {}).get("provider") for solver in acme["solvers"]]
    assert providers == [None, None, "googleclouddns", "azure", "digitalocean", None]
    for words in (
        "skipTLSVerify: left out: give the CA of the server in caBundle",
        ".http01: the operator answers for ClusterIssuers only: make this a ClusterIssuer",
        "HMACSHA256 instead of HMACMD5",
        "kubectl label secret tsig -n shop csr-operator.dev/allow-credential=true",
        'auth_service_account_info="base64::$(kubectl get secret gcp -n shop',
        "no counterpart of akamai",
    ):
        assert words in notes, words


def test_of_what_there_is_no_backend_for_only_a_comment_is_left() -> None:
    found = of("issuers")
    assert found["Issuer shop/vault"][0] is None
    assert "no backend for HashiCorp Vault yet" in found["Issuer shop/vault"][1]
    assert "left out, as it is of cert-manager.io/v1alpha2" in found["Issuer shop/old"][1]
    company, notes = found["ClusterIssuer company"]
    assert company is not None
    assert company["spec"] == {"ca": {"secretName": "company-ca"}}
    assert "spec.ca.ocspServers: left out" in notes


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("2160h0m0s", "2160h0m0s"),
        ("90d", "2160h"),
        ("1.5d", "36h"),
        ("30m1h", "1h30m"),
        ("3600000ms", "1h"),
        ("1h30m", "1h30m"),
        ("a month", None),
        (7, None),
    ],
)
def test_durations(given: Any, wanted: str | None) -> None:
    spec, notes = certificate(duration=given)
    assert spec.get("duration") == wanted
    assert ("spec.duration: left out" in notes) == (wanted is None)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (None, {"algorithm": "RSA", "size": 2048}),
        ({"rotationPolicy": "Never"}, {"algorithm": "RSA", "size": 2048, "rotationPolicy": "Never"}),
        ({"algorithm": "ECDSA"}, {"algorithm": "ECDSA", "size": 256}),
        ({"size": 4096}, {"algorithm": "RSA", "size": 4096}),
        ({"algorithm": "Ed25519", "size": 0}, {"algorithm": "Ed25519"}),
    ],
)
def test_keys_are_those_that_cert_manager_makes(key: dict[str, Any] | None, wanted: dict[str, Any]) -> None:
    spec, _ = certificate(**({"privateKey": key} if key is not None else {}))
    assert spec["privateKey"] == wanted


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"kind": "Certificate"},
        {"apiVersion": 7, "kind": ["x"]},
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate"},
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": [], "spec": "x"},
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "spec": {"usages": 7, "keystores": [], "issuerRef": 1},
        },
        {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "spec": {"acme": {"solvers": [7, {}], "caBundle": "%"}}},
        {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "spec": {}},
        {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "spec": {"acme": {"solvers": [{"dns01": {}}]}}},
        {"apiVersion": "v1", "kind": "List", "items": [None, 7]},
        7,
        None,
        "text",
    ],
)
def test_whatever_it_is_it_is_read(document: Any) -> None:
    assert list(yaml.safe_load_all(render(convert([document])))) is not None


JUNK: tuple[Any, ...] = (None, True, 7, "x", [], ["x"], [[1]], {}, {"x": 1}, {7: ["x"]})


def mutants(document: Any) -> Iterator[Any]:
    """The document with each of its parts in turn as something else."""

    def parts(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        yield path
        for key, child in node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else ()):
            yield from parts(child, (*path, key))

    for *above, last in filter(None, parts(document, ())):
        for junk in JUNK:
            mutant = copy.deepcopy(document)
            node = mutant
            for key in above:
                node = node[key]
            node[last] = junk
            yield mutant


@pytest.mark.parametrize("file", FILES)
def test_whatever_a_part_of_it_is_it_is_read_and_what_comes_out_is_yaml(file: str) -> None:
    for document in yaml.safe_load_all((FOLDER / f"{file}.yaml").read_text()):
        for mutant in mutants(document):
            for found in convert([mutant]):
                assert found.notes
                if found.obj is not None:
                    json.dumps(found.obj)


def test_no_text_ends_the_comment_that_it_stands_in() -> None:
    document = {"apiVersion": "v1", "kind": "Pod\nkind: Secret", "metadata": {"name": "a\x1b\n--- b\u2028c"}}
    found = list(yaml.safe_load_all(render(convert([document]))))
    assert found in ([], [None])


@pytest.mark.parametrize("name", ["y", "N", "on", "12e34", "0o17", "0x1f", "1_000", "1:20", "null", "~", "2026-01-01"])
def test_a_name_that_looks_like_something_else_stays_a_name(name: str, kubectl: Kubectl) -> None:
    document = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "www"}}
    spec = {"secretName": "www-tls", "issuerRef": {"name": "ca"}, "commonName": name}
    manifest = render(convert([{**document, "spec": spec}]))
    read = json.loads(kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", stdin=manifest))
    assert read["spec"]["commonName"] == name


def test_what_is_required_and_missing_is_named() -> None:
    spec, notes = one({"dnsNames": ["www.example.com"]})
    assert "secretName" not in spec
    assert "spec.secretName: it is missing" in notes
    assert "spec.issuerRef.name: it is missing" in notes


def test_stdin_and_what_is_no_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "chart.yaml").write_text("a: {{ .Values.name }}\n")
    assert main(["convert", "-f", str(tmp_path / "chart.yaml")]) == 1
    assert "helm template" in capsys.readouterr().err
    for text, words in (("a: " + "[" * 700, "nested too deep"), ("a: !!python/none x\n", "line 1, column 4 of ")):
        (tmp_path / "odd.yaml").write_text(text)
        assert main(["convert", "-f", str(tmp_path / "odd.yaml")]) == 1
        said = capsys.readouterr().err
        assert words in said
        assert "constructor" not in said
        assert "RecursionError" not in said
    assert main(["convert", "-f", str(tmp_path / "none.yaml")]) == 1
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n")
    assert main(["convert", "-f", str(tmp_path / "pod.yaml")]) == 1
    answer = capsys.readouterr()
    assert (answer.out, "there is no Certificate" in answer.err) == ("# Pod p (v1): left out\n", True)
