"""Beside cert-manager, which has kinds of the same names, every command that we print reaches ours."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.cli import reasons
from csr_operator.cli.explain import issuer_argument
from devcluster import control_plane
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request

TOP = Path(__file__).parents[2]
FOLDERS = ("operator", "docs", "demo", "examples", "deploy", "crds", "benchmarks")
TEXTS = [
    TOP / "README.md",
    TOP / "SECURITY.md",
    TOP / "Makefile",
    *(file for folder in FOLDERS for kind in ("py", "md", "yaml") for file in (TOP / folder).rglob(f"*.{kind}")),
]
COMMAND = re.compile(r"kubectl (?!csr )[^`\n]*")
AMBIGUOUS = re.compile(r"(?<![\w./{-])(?:issuer|clusterissuer|certificaterequest)s?(?![\w.-])")
OURS = re.compile(r"(?<![\w./-])csr(?:eq|issuer|clusterissuer)(?![\w.-])")


def commands() -> Iterator[tuple[str, str]]:
    """Where, and what: each line of a text that has kubectl do something, and each remedy of the plug-in."""
    for file in TEXTS:
        for command in COMMAND.findall(file.read_text()):
            yield str(file.relative_to(TOP)), command
    for kind in (Kind.ISSUER, Kind.CLUSTER_ISSUER):
        argument = issuer_argument(ObjectKey(kind, "", "ca"))
        for advice in (*reasons.REQUEST.values(), *reasons.ISSUER.values()):
            words = advice.remedy.format(
                request="www -n shop", secret="www-tls", issuer=argument, namespace="shop", generation=1
            )
            for command in COMMAND.findall(words):
                yield "the plug-in", command


def test_no_command_that_is_printed_could_mean_cert_manager() -> None:
    found = list(commands())
    assert len(found) > 50
    assert [(where, command) for where, command in found if AMBIGUOUS.search(command)] == []


@pytest.mark.parametrize(
    "command",
    [
        "kubectl get issuers -A",
        "kubectl describe clusterissuer acme",
        "kubectl wait issuer/acme --for=condition=Ready",
        "kubectl get issuers,clusterissuers,csreq -A -o yaml",
        "kubectl events --for certificaterequest/www",
    ],
)
def test_the_search_finds_what_could(command: str) -> None:
    assert AMBIGUOUS.search(command)


def stub(plural: str, kind: str, scope: str, *short: str) -> dict[str, Any]:
    """A definition that has the names of cert-manager's, and nothing else of it."""
    group = "cert-manager.io"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "shortNames": list(short)}
    names["categories"] = ["cert-manager"]
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": [version]},
    }


STUBS = (
    stub("issuers", "Issuer", "Namespaced"),
    stub("clusterissuers", "ClusterIssuer", "Cluster"),
    stub("certificaterequests", "CertificateRequest", "Namespaced", "cr", "crs"),
    stub("certificates", "Certificate", "Namespaced", "cert", "certs"),
)


@pytest.fixture(scope="module")
def beside() -> Iterator[Kubectl]:
    """A control plane of its own, as its names mean something else: in each kind both have an object."""
    with control_plane() as plane:
        kubectl = Kubectl(plane, "default")
        kubectl.apply(*STUBS)
        definitions = [f"crd/{each['metadata']['name']}" for each in STUBS]
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *definitions)
        ours = [issuer("ours"), issuer("ours", kind="ClusterIssuer"), request("ours", "ours")]
        theirs = [
            {"apiVersion": "cert-manager.io/v1", "kind": each["kind"], "metadata": {"name": "theirs"}} for each in ours
        ]
        kubectl.apply(*ours)
        for one in theirs:  # the API server shows new kinds a moment after they are established
            wait_until("it is taken", partial(_is_taken, kubectl, one))
        yield kubectl


def _is_taken(kubectl: Kubectl, one: dict[str, Any]) -> bool:
    try:
        kubectl("apply", "-f", "-", stdin=json.dumps(one))
    except AssertionError:
        return False
    return True


@pytest.mark.slow("starts a control plane")
def test_our_short_names_are_ours_where_the_long_ones_are_not(beside: Kubectl) -> None:
    long = ("certificaterequest", "issuer", "clusterissuer")
    assert [beside("get", word, "-o", "name").strip() for word in long] == [
        f"{word}.cert-manager.io/theirs" for word in long
    ]
    printed = {word for _, command in commands() for word in OURS.findall(command)}
    assert printed == {"csreq", "csrissuer", "csrclusterissuer"}
    for word, name in zip(("csreq", "csrissuer", "csrclusterissuer"), long, strict=True):
        assert beside("get", word, "-o", "name").strip() == f"{name}.csr-operator.dev/ours"


@pytest.mark.slow("starts a control plane")
def test_the_other_commands_take_them_as_well(beside: Kubectl) -> None:
    assert "API Version:  csr-operator.dev/v1alpha1" in beside("describe", "csrissuer", "ours")
    assert "GROUP:      csr-operator.dev" in beside("explain", "csreq.spec")
    for word in ("csreq/ours", "csrissuer/ours", "csrclusterissuer/ours"):
        status = json.dumps({"status": {"conditions": [CONDITION], "observedGeneration": 1}})
        beside("patch", word, "--subresource=status", "--type=merge", "-p", status)
        assert "condition met" in beside("wait", "--for=condition=Ready", "--timeout=10s", word)
    beside("events", "--for", "csreq/ours")
    listed = beside("get", "csr-operator", "-o", "name").split()
    assert sorted(listed) == [
        f"{kind}.csr-operator.dev/ours" for kind in ("certificaterequest", "clusterissuer", "issuer")
    ]


CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Ready",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
