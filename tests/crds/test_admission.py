"""What kubectl answers to a manifest: every CEL rule refuses with field and remedy, and nothing sound is refused."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from devcluster import ControlPlane
from tests.crds import http01
from tests.crds.cases import (
    ACCEPTED,
    ACCEPTED_ISSUERS,
    CHANGED,
    REFUSED,
    Changed,
    Refused,
    request,
)
from tests.crds.schema import Manifest, Rule, answers, as_pattern, manifest, rules
from tests.support.kubectl import Kubectl


class Answers(NamedTuple):
    """kubectl's answers by table, in the table's order; empty where it accepted the object."""

    refused: tuple[str, ...]
    changed: tuple[str, ...]
    accepted: Mapping[str, str]
    issuers: tuple[str, ...]


@pytest.fixture(scope="module")
def answered(cluster: ControlPlane) -> Answers:
    def create(manifests: Sequence[Manifest], *flags: str) -> tuple[str, ...]:
        return tuple(answers(cluster, manifests, "create", *flags).values())

    dry_run = "--dry-run=server"
    refused = [manifest(case.kind, f"refused-{i:03}", case.spec) for i, case in enumerate(REFUSED)]
    accepted = [manifest("CertificateRequest", name, spec) for name, spec in ACCEPTED.items()]
    before = [manifest("CertificateRequest", f"changed-{i}", case.before) for i, case in enumerate(CHANGED)]
    after = [manifest("CertificateRequest", f"changed-{i}", case.after) for i, case in enumerate(CHANGED)]
    issuers = [
        manifest(kind, f"{kind.lower()}-{i}", spec)
        for kind, specs in (
            ("Issuer", ACCEPTED_ISSUERS),
            ("ClusterIssuer", [*ACCEPTED_ISSUERS, *http01.ACCEPTED_CLUSTER_ISSUERS]),
        )
        for i, spec in enumerate(specs)
    ]
    assert not any(create(before))
    return Answers(
        refused=create(refused, dry_run),
        changed=tuple(answers(cluster, after, "replace", dry_run).values()),
        accepted=answers(cluster, accepted, "create", dry_run),
        issuers=create(issuers, dry_run),
    )


@pytest.mark.parametrize(("number", "case"), list(enumerate(REFUSED)), ids=[case.field for case in REFUSED])
def test_refused(answered: Answers, number: int, case: Refused) -> None:
    """The answer names the field and the remedy, and complains of nothing else."""
    answer = answered.refused[number]
    assert answer.startswith(f"{case.field}: ")
    assert case.says in answer


@pytest.mark.parametrize(("number", "case"), list(enumerate(CHANGED)), ids=[case.field for case in CHANGED])
def test_change_refused(answered: Answers, number: int, case: Changed) -> None:
    answer = answered.changed[number]
    assert answer.startswith(f"{case.field}: ")
    assert case.says in answer


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(answered: Answers, name: str) -> None:
    assert answered.accepted[name] == ""


def test_issuers_accepted(answered: Answers) -> None:
    assert answered.issuers == ("",) * (2 * len(ACCEPTED_ISSUERS) + len(http01.ACCEPTED_CLUSTER_ISSUERS))


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: f"{rule.kind}.{'.'.join(rule.path)}")
def test_every_rule_is_exercised(answered: Answers, rule: Rule) -> None:
    """A rule added to `crds/` needs a case in the tables that makes kubectl say its message about its field."""
    said = re.compile(as_pattern(rule.path) + r": (Invalid value|Required value|Forbidden): .*" + re.escape(rule.says))
    of_kind = (answer for case, answer in zip(REFUSED, answered.refused, strict=True) if case.kind == rule.kind)
    changed = answered.changed if rule.kind == "CertificateRequest" else ()
    assert any(said.match(answer) for answer in (*of_kind, *changed))


def test_all_mistakes_are_told_at_once(kubectl: Kubectl) -> None:
    spec = request(dnsNames=["my_host.example.com", "10.0.0.1"], duration="90d", usages=["serverAuth"])
    with pytest.raises(AssertionError) as refused:
        kubectl.apply(manifest("CertificateRequest", "www", spec))
    told = re.findall(r"^\* ([^:]+): Invalid value: ", str(refused.value), re.MULTILINE)
    assert sorted(told) == ["spec.dnsNames[0]", "spec.dnsNames[1]", "spec.duration", "spec.usages[0]"]


def test_misspelt_field(kubectl: Kubectl) -> None:
    misspelt = json.dumps(manifest("CertificateRequest", "www", request(dnsName=["www.example.com"])))
    with pytest.raises(AssertionError, match=r'unknown field "spec\.dnsName"'):
        kubectl("create", "-f", "-", stdin=misspelt)
