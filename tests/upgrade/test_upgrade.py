"""What another version left is taken over as it is: no certificate is issued again, and nothing is written; and back.

From versions that knew less, what they did not know is written, once. UPGRADE_FROM=all tries all versions.
"""

import re
from collections import Counter
from collections.abc import Mapping
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
from tests.upgrade.versions import ROOT, TESTED, VERSIONS, Version, Written, is_there, unpack

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


def _make(site: Site, prefix: str, folder: Path, reasons: Mapping[str, str]) -> None:
    """Requests of each kind, with names of their own, and wait until nothing is to be done any more.

    reasons: as of `Version`.
    """
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
    held = {
        **{name: reason for name, (reason, _) in HELD.items()},
        "refused": "Rejected",
        "left": "RevocationPending",
        **reasons,
    }
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


def _assert_taken_over(operator: OperatorProcess, kubectl: Kubectl, marker: str, wanted: Written) -> None:
    """Start it where another version has stopped: it looks at everything, and writes what is wanted. marker: see
    `idle`."""
    marked = f"{marker}-tls", marker

    def written() -> Counter[tuple[str, str]]:
        calls = [*writes(kubectl.cluster, kubectl.namespace), *writes(kubectl.cluster, NAMESPACE)]
        done = ((call.resource, _named(call.name)) for call in calls if call.code < 400)
        return Counter((resource, name) for resource, name in done if name not in (marker, "csr-operator-state-key"))

    before, calls, expected = _versions(kubectl), written(), _expected(wanted, kubectl)
    certificates = _certificates(kubectl)
    operator.start()
    idle(operator, kubectl, marker)
    try:
        wait_until("what differs is written", lambda: written() - calls >= expected)
    except AssertionError as error:
        raise AssertionError(f"{error}: {expected - (written() - calls)} is missing") from None
    # The issuers were checked by the first of these looks, and what depends on that was woken.
    wait_until("the issuers were checked again", lambda: _checks(operator) >= 2 * len(kubectl.list("issuers")))
    after = {key: version for key, version in _versions(kubectl).items() if key[1] not in marked}
    assert expected <= written() - calls <= expected + Counter(("secrets", name) for name in wanted.once_more)
    if not expected:
        assert after == before
    assert {name: pair for name, pair in _certificates(kubectl).items() if name not in marked} == certificates
    assert _issued(operator, "ca") == 1 + len(wanted.in_vain)  # that of the marker
    assert _issued(operator, "selfSigned") == 0
    assert operator.metric("csr_operator_request_ready", namespace=kubectl.namespace) == sum(
        condition(each, "Ready").get("status") == "True" for each in kubectl.list(REQUEST)
    )


def _named(name: str) -> str:
    """Of an object, the name of the request that it is for."""
    name = re.sub(r"\.[0-9a-f]+$", "", name)
    return re.sub(r"-[0-9a-f]{12}-order$", "-order", name.removesuffix("-tls"))


def _certificates(kubectl: Kubectl) -> dict[str, tuple[str, str]]:
    """Certificate and key, as they are encoded, by the name of their Secret."""
    secrets = {each["metadata"]["name"]: each.get("data", {}) for each in kubectl.list("secrets")}
    return {name: (data["tls.crt"], data.get("tls.key", "")) for name, data in secrets.items() if "tls.crt" in data}


def _expected(wanted: Written, kubectl: Kubectl) -> Counter[tuple[str, str]]:
    """What is written, by resource and name, where things stand as they do now."""
    statuses = set(wanted.statuses)
    if wanted.octets:
        metadata = (each["metadata"] for each in kubectl.list("secrets"))
        serials = {m["name"]: m.get("annotations", {}).get("csr-operator.dev/serial-number", "") for m in metadata}
        statuses |= {_named(name) for name, serial in serials.items() if len(serial) % 2}
    names = {
        "certificaterequests/status": statuses,
        "certificaterequests": wanted.requests,
        "secrets": wanted.secrets,
        "issuers/status": wanted.issuers,
        "events": wanted.events,
    }
    return Counter((resource, name) for resource, each in names.items() for name in each)


def _checks(operator: OperatorProcess) -> float:
    return operator.metric("csr_operator_ca_calls_total", call="check")


def _issued(operator: OperatorProcess, backend: str) -> float:
    return operator.metric("csr_operator_ca_calls_total", call="submit", outcome="ok", backend=backend)


@pytest.mark.parametrize("commit", TESTED)
def test_an_upgrade_and_a_step_back_issue_nothing_again(
    commit: str, cluster: ControlPlane, kubectl: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    if not is_there(commit):
        pytest.skip(f"commit {commit} is not in this clone: git fetch --unshallow")
    log, arguments, version = tmp_path / "operator.log", ("--namespace", kubectl.namespace), VERSIONS[commit]
    code = unpack(commit, tmp_path)
    old = OperatorProcess(operator_credentials, log, *arguments, code=code, without=version.without)
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
        _make(site, "old", tmp_path, version.reasons)
        idle(old, kubectl, "marker-old")
    try:
        _assert_taken_over(new, kubectl, "marker-upgrade", version.upgrade)
        _make(Site(kubectl, new), "new", tmp_path, {})
        idle(new, kubectl, "marker-new")
    finally:
        new.stop()
    try:
        _assert_taken_over(old, kubectl, "marker-back", version.back)
    finally:
        old.stop()


def _row(version: Version) -> str:
    return f"{version.words} | {version.upgrade.words} | {version.back.words}"


def test_the_guide_names_them() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    section = guide.split("\n## Upgrade\n", 1)[1].split("\n## ", 1)[0]
    told = dict(re.findall(r"^\| `([0-9a-f]{7})` \| (.*) \|$", section, re.MULTILINE))
    assert told == {commit: _row(version) for commit, version in VERSIONS.items()}
