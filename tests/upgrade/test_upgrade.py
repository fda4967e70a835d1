"""What another version left is taken over as it is: nothing is written, and no certificate issued again; and back."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.openssl import own_csr
from tests.support.operator import NAMESPACE, OperatorProcess
from tests.support.revocation import OWED, leave, make_revoking_ca, renew
from tests.support.scene import idle
from tests.support.site import REQUEST, Site
from tests.upgrade.versions import ROOT, VERSIONS, is_there, unpack

WATCHED = ("certificaterequests", "issuers", "secrets")
REVOKED = {"revocation": {"onDelete": True, "onRotation": True}}
KEYSTORE = {"create": True, "passwordSecretRef": {"name": "password", "key": "password"}}

READY: dict[str, dict[str, Any]] = {
    "plain": {"issuerRef": {"name": "ca"}},
    "alone": {"issuerRef": {"name": "root"}},
    "kept": {"issuerRef": {"name": "ca"}, "deletionPolicy": "Retain"},
    "same-key": {"issuerRef": {"name": "ca"}, "privateKey": {"algorithm": "RSA", "rotationPolicy": "Never"}},
    "below": {"issuerRef": {"name": "ca"}, "isCA": True, "commonName": "Below", "duration": "43800h"},
    "stores": {
        "issuerRef": {"name": "ca"},
        "keystores": {"pkcs12": KEYSTORE, "jks": KEYSTORE},
        "additionalOutputFormats": [{"type": "DER"}, {"type": "CombinedPEM"}],
        "secretTemplate": {"labels": {"team": "web"}, "annotations": {"example.com/contact": "web"}},
    },
    "second-choice": {"issuerRefs": [{"name": "absent"}, {"name": "ca"}]},
    "revocable": {"issuerRef": {"name": "revoking"}, **REVOKED},
    "renewed": {"issuerRef": {"name": "ca"}},
    "revoked": {"issuerRef": {"name": "revoking"}, **REVOKED},
}
"""The spec of each, but for its name and Secret."""

HELD: dict[str, tuple[str, dict[str, Any]]] = {
    "without-issuer": ("IssuerNotFound", {"issuerRef": {"name": "absent"}}),
    "unapproved": ("ApprovalPending", {"issuerRef": {"name": "strict"}}),
    "denied": ("PolicyDenied", {"issuerRef": {"name": "internal"}}),
    "by-hand": ("ActionRequired", {"issuerRef": {"name": "person"}}),
    "foreign": ("SecretNotOwned", {"issuerRef": {"name": "ca"}}),
}
"""The same of those that get no certificate, with what their status says."""


def _make(site: Site, prefix: str, folder: Path) -> None:
    """Requests of each kind, with names of their own, and wait until nothing is to be done any more."""
    kubectl = site.kubectl
    kubectl.apply(opaque(f"{prefix}-foreign-tls", note="of somebody else"))
    kubectl.create(
        *(_request(f"{prefix}-{name}", spec) for name, spec in READY.items()),
        *(_request(f"{prefix}-{name}", spec) for name, (_, spec) in HELD.items()),
        request(f"{prefix}-own", "ca", request=own_csr(folder, f"{prefix}.example.com")),
        request(f"{prefix}-refused", "root", request=own_csr(folder, f"{prefix}.example.com")),
    )
    kubectl.wait_ready(f"{prefix}-own", *(f"{prefix}-{name}" for name in READY))
    leave(site, f"{prefix}-left", revocation={"onRotation": True})
    for name in ("renewed", "revoked"):
        renew(site, f"{prefix}-{name}")
        site.wait_status(f"{prefix}-{name}", revision=2)
    held = {**{name: reason for name, (reason, _) in HELD.items()}, "refused": "Rejected", "left": "RevocationPending"}
    site.wait("the others are held", lambda: all(r in _reasons(kubectl, f"{prefix}-{n}") for n, r in held.items()))
    site.wait("what was replaced is revoked", lambda: not _owes(kubectl, f"{prefix}-revoked-tls"))


def _request(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    made = request(name, "", **spec)
    if "issuerRefs" in spec:
        del made["spec"]["issuerRef"]
    return made


def _reasons(kubectl: Kubectl, name: str) -> set[str]:
    return {c["reason"] for c in kubectl.get(REQUEST, name).get("status", {}).get("conditions", ())}


def _owes(kubectl: Kubectl, secret: str) -> bool:
    return OWED in kubectl.get("secret", secret)["metadata"]["annotations"]


def _versions(kubectl: Kubectl) -> dict[tuple[str, str], str]:
    """The resource version of each object of the namespace."""
    found = ((kind, obj["metadata"]) for kind in WATCHED for obj in kubectl.list(kind))
    return {(kind, metadata["name"]): metadata["resourceVersion"] for kind, metadata in found}


def _assert_taken_over(operator: OperatorProcess, kubectl: Kubectl, marker: str) -> None:
    """Start it where another version has stopped: it looks at everything, and writes nothing. marker: see `idle`."""

    def written() -> Counter[tuple[str, str, str]]:
        calls = [*writes(kubectl.cluster, kubectl.namespace), *writes(kubectl.cluster, NAMESPACE)]
        return Counter((call.verb, call.resource, call.name) for call in calls if marker not in call.name)

    before, calls = _versions(kubectl), written()
    operator.start()
    idle(operator, kubectl, marker)
    # The issuers were checked by the first of these looks, and what depends on that was woken.
    wait_until("the issuers were checked again", lambda: _checks(operator) >= 2 * len(kubectl.list("issuers")))
    after = {key: version for key, version in _versions(kubectl).items() if marker not in key[1]}
    assert written() - calls == Counter()
    assert after == before
    assert operator.metric("csr_operator_request_ready", namespace=kubectl.namespace) == sum(
        condition(each, "Ready").get("status") == "True" for each in kubectl.list(REQUEST)
    )


def _checks(operator: OperatorProcess) -> float:
    return operator.metric("csr_operator_ca_calls_total", call="check")


@pytest.mark.parametrize("commit", VERSIONS)
def test_an_upgrade_and_a_step_back_write_nothing(
    commit: str, cluster: ControlPlane, kubectl: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    if not is_there(commit):
        pytest.skip(f"commit {commit} is not in this clone: git fetch --unshallow")
    log, arguments = tmp_path / "operator.log", ("--namespace", kubectl.namespace)
    old = OperatorProcess(operator_credentials, log, *arguments, code=unpack(commit, tmp_path))
    new = OperatorProcess(operator_credentials, log, *arguments)

    with old:
        site = Site(kubectl, old)
        kubectl.apply(
            *root_and_ca(),
            opaque("password", password="changeit"),
            issuer("person", manual={}),
            issuer("strict", selfSigned={}, approval="Manual"),
            issuer("internal", selfSigned={}, policy={"default": "Deny", "rules": []}),
        )
        make_revoking_ca(site)
        _make(site, "old", tmp_path)
        idle(old, kubectl, "marker-old")
    try:
        _assert_taken_over(new, kubectl, "marker-upgrade")
        _make(Site(kubectl, new), "new", tmp_path)
        idle(new, kubectl, "marker-new")
    finally:
        new.stop()
    try:
        _assert_taken_over(old, kubectl, "marker-back")
    finally:
        old.stop()


def test_the_guide_names_them() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    section = guide.split("\n## Upgrade\n", 1)[1].split("\n## ", 1)[0]
    assert dict(re.findall(r"^\| `([0-9a-f]{7})` \| (.*) \|$", section, re.MULTILINE)) == VERSIONS
