"""What a user sees of the custom resources in kubectl: explain, columns, selectors, status, server-side apply."""

import base64
import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.crds.cases import FULL, LARGEST, request
from tests.crds.schema import API_VERSION, ITEM, VALUE, Field, fields, manifest
from tests.support.kubectl import Kubectl

READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Issued",
    "message": "The certificate is in the Secret.",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 1,
}
STATUS: Mapping[str, Any] = {
    "conditions": [READY],
    "observedGeneration": 1,
    "serialNumber": "3A7F",
    "notBefore": "2026-01-01T00:00:00Z",
    "notAfter": "2126-01-01T00:00:00Z",
    "renewalTime": "2092-09-01T00:00:00Z",
    "revision": 2,
    "sha256Fingerprint": "ab" * 32,
    "csr": "-----BEGIN CERTIFICATE REQUEST-----\n",
}


def create(kubectl: Kubectl, name: str, spec: Mapping[str, Any], kind: str = "CertificateRequest") -> None:
    kubectl("create", "-f", "-", stdin=json.dumps(manifest(kind, name, spec)))


def set_status(kubectl: Kubectl, resource: str, name: str, status: Mapping[str, Any]) -> None:
    kubectl("patch", "--subresource=status", resource, name, "--type=merge", "-p", json.dumps({"status": status}))


def row(table: str) -> dict[str, str]:
    """The only row of a table that kubectl printed, by column."""
    head, line = table.splitlines()
    starts = [i for i, char in enumerate(head) if char != " " and (i == 0 or head[i - 1] == " ")]
    ends = [*starts[1:], None]
    return {head[a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends, strict=True)}


OBJECTS = [field for field in fields() if "properties" in field.schema]


@pytest.mark.parametrize("field", OBJECTS, ids=lambda field: ".".join((field.kind, *field.path)))
def test_explain(cluster: ControlPlane, field: Field) -> None:
    """Each field of the object is there, with a description."""
    path = ".".join(part for part in (f"{field.kind.lower()}s", *field.path) if part not in (ITEM, VALUE))
    command = [str(cluster.kubectl), "explain", f"--api-version={API_VERSION}", path]
    text = " ".join(subprocess.run(command, env=cluster.env, check=True, capture_output=True, text=True).stdout.split())
    for name, schema in field.schema["properties"].items():
        if field.path or name in ("spec", "status"):  # The others are described by the API server itself.
            assert f" {name} <" in text
            assert " ".join(schema["description"].split()) in text


def test_columns(kubectl: Kubectl) -> None:
    create(kubectl, "www", request(secretName="www-tls"))
    set_status(kubectl, "csreq", "www", STATUS)
    narrow = {
        "NAME": "www",
        "READY": "True",
        "REASON": "Issued",
        "SECRET": "www-tls",
        "ISSUER": "ca",
        "EXPIRES": "2126-01-01T00:00:00Z",
        "RENEWING": "",
    }
    shown = row(kubectl("get", "csreq"))
    assert shown.pop("AGE").endswith("s")
    assert shown == narrow
    shown = row(kubectl("get", "csreq", "-o", "wide"))
    assert shown.pop("AGE").endswith("s")
    assert shown == narrow | {
        "RENEWAL": "2092-09-01T00:00:00Z",
        "REVISION": "2",
        "SERIAL": "3A7F",
        "MESSAGE": "The certificate is in the Secret.",
    }


def test_a_renewal_that_waits_is_in_a_column_of_its_own(kubectl: Kubectl) -> None:
    create(kubectl, "www", request())
    waiting = {**READY, "type": "Renewing", "status": "False", "reason": "PolicyDenied"}
    set_status(kubectl, "csreq", "www", {**STATUS, "conditions": [READY, waiting]})
    shown = row(kubectl("get", "csreq"))
    assert (shown["READY"], shown["REASON"], shown["RENEWING"]) == ("True", "Issued", "PolicyDenied")


def test_columns_with_several_issuers(kubectl: Kubectl) -> None:
    """The first choice is shown."""
    create(kubectl, "www", request(issuerRef=None, issuerRefs=[{"name": "first"}, {"name": "second"}]))
    assert row(kubectl("get", "csreq"))["ISSUER"] == "first"


def test_columns_before_the_operator_has_seen_it(kubectl: Kubectl) -> None:
    create(kubectl, "www", request())
    shown = row(kubectl("get", "csreq"))
    assert (shown["NAME"], shown["READY"], shown["REASON"], shown["EXPIRES"]) == ("www", "", "", "")


@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_columns_of_issuers(kubectl: Kubectl, kind: str) -> None:
    name = f"{kubectl.namespace}-ca"
    resource = f"{kind.lower()}s.csr-operator.dev"
    create(kubectl, name, {"selfSigned": {}}, kind)
    set_status(kubectl, resource, name, {"conditions": [READY], "observedGeneration": 1})
    shown = row(kubectl("get", resource, name))
    assert shown.pop("AGE").endswith("s")
    assert shown == {"NAME": name, "READY": "True", "REASON": "Issued"}
    assert row(kubectl("get", resource, name, "-o", "wide"))["MESSAGE"] == READY["message"]


def test_wait_for_ready(kubectl: Kubectl) -> None:
    create(kubectl, "www", request())
    set_status(kubectl, "csreq", "www", STATUS)
    assert "condition met" in kubectl("wait", "--for=condition=Ready", "csreq/www", "--timeout=20s")


def test_category(kubectl: Kubectl) -> None:
    create(kubectl, "www", request())
    create(kubectl, "ca", {"selfSigned": {}}, "Issuer")
    create(kubectl, kubectl.namespace, {"selfSigned": {}}, "ClusterIssuer")
    assert {
        "certificaterequest.csr-operator.dev/www",
        "issuer.csr-operator.dev/ca",
        f"clusterissuer.csr-operator.dev/{kubectl.namespace}",
    } <= set(kubectl("get", "csr-operator", "-o", "name").split())


def test_field_selectors(kubectl: Kubectl) -> None:
    create(kubectl, "a", request(secretName="a-tls"))
    create(kubectl, "b", request(secretName="b-tls", issuerRef={"name": "other", "kind": "ClusterIssuer"}))
    for selector, found in (
        ("spec.secretName=a-tls", ["a"]),
        ("spec.issuerRef.name=other", ["b"]),
        ("spec.issuerRef.kind=ClusterIssuer", ["b"]),
        ("spec.issuerRef.kind=Issuer", ["a"]),
        ("spec.issuerRef.name=ca,spec.secretName!=a-tls", []),
    ):
        names = [item["metadata"]["name"] for item in kubectl.list("csreq", "--field-selector", selector)]
        assert names == found, selector


def test_status_belongs_to_its_subresource(kubectl: Kubectl) -> None:
    """Who may write requests cannot thereby write status, and the other way round."""
    kubectl.apply(manifest("CertificateRequest", "www", request(), status=STATUS))
    assert kubectl.get("csreq", "www")["status"] == {"observedGeneration": -1}, "as the API server fills it in"
    set_status(kubectl, "csreq", "www", STATUS)
    kubectl("patch", "csreq", "www", "--type=merge", "-p", '{"status": {"revision": 7}, "spec": {"duration": "1h"}}')
    kubectl("patch", "--subresource=status", "csreq", "www", "--type=merge", "-p", '{"spec": {"duration": "2h"}}')
    stored = kubectl.get("csreq", "www")
    assert (stored["status"], stored["spec"]["duration"]) == (STATUS, "1h")
    assert stored["metadata"]["generation"] == 2


@pytest.mark.parametrize("spec", [FULL, request()], ids=["full", "least"])
def test_server_side_apply_round_trip(kubectl: Kubectl, spec: Mapping[str, Any]) -> None:
    """What was applied is what is stored, so that neither kubectl nor a GitOps tool finds a difference afterwards."""
    text = json.dumps(manifest("CertificateRequest", "www", spec))
    kubectl("apply", "--server-side", "-f", "-", stdin=text)
    set_status(kubectl, "csreq", "www", STATUS)
    before = kubectl.get("csreq", "www")
    assert before["spec"] == {**spec, "issuerRef": {"kind": "Issuer", **spec["issuerRef"]}}
    assert kubectl("diff", "--server-side", "-f", "-", stdin=text) == ""
    kubectl("apply", "--server-side", "-f", "-", stdin=text)
    assert kubectl.get("csreq", "www") == before


def test_the_largest_request_is_stored_with_its_csr(kubectl: Kubectl) -> None:
    """etcd stores objects of 1.5 MiB, and the CSR in status repeats most of the spec. JSON is no shorter than DER."""
    create(kubectl, "largest", LARGEST)
    names = json.dumps({field: value for field, value in LARGEST.items() if field != "secretTemplate"})
    csr = base64.encodebytes(names.encode()).decode()
    patch = json.dumps({"status": {**STATUS, "csr": csr}})
    kubectl("patch", "--subresource=status", "csreq", "largest", "--type=merge", "--patch-file=/dev/stdin", stdin=patch)
    assert kubectl.get("csreq", "largest")["status"]["csr"] == csr
