"""Specs of any shape, as a CustomResourceDefinition of another version lets through: each is told by its field."""

from typing import Any

import pytest

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.backends import registry
from csr_operator.plugin import testing
from csr_operator.plugin.errors import Misconfigured

METADATA = {"namespace": "n", "name": "x", "uid": "u", "resourceVersion": "1", "generation": 1}
GOOD = {"secretName": "www-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["www.example.com"]}
ABSENT = object()


def parsed(spec: Any) -> CertificateRequest:
    return parse_request({"metadata": METADATA, "spec": spec})


def changed(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **fields}.items() if value is not ABSENT}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (changed(secretName=ABSENT), "spec.secretName"),
        (changed(secretName=""), "spec.secretName"),
        (changed(secretName=None), "spec.secretName"),
        (changed(secretName=5), "spec.secretName"),
        (changed(secretName=[]), "spec.secretName"),
        (changed(secretName="\0é"), "spec.secretName"),
        (changed(secretName="../other/secrets/x"), "spec.secretName"),
        (changed(secretName="a" * 254), "spec.secretName"),
        (5, "spec.secretName"),
        ([], "spec.secretName"),
        (None, "spec.secretName"),
        (changed(issuerRef=None), "spec.issuerRef"),
        (changed(issuerRef=ABSENT), "spec.issuerRef"),
        (changed(issuerRef=ABSENT, issuerRefs=[]), "spec.issuerRef"),
        (changed(issuerRef=ABSENT, issuerRefs={}), "spec.issuerRef"),
        (changed(issuerRef=5), "spec.issuerRef"),
        (changed(additionalOutputFormats=5), "spec.additionalOutputFormats"),
        (changed(additionalOutputFormats=["DER"]), "spec.additionalOutputFormats"),
        (changed(keystores=5), "spec.keystores"),
        (changed(otherNames=5), "spec.otherNames"),
        (changed(otherNames=[{"oid": "1.2.3"}]), "spec.otherNames"),
        (changed(extensions=5), "spec.extensions"),
        (changed(extensions=[{"oid": "1.2.3"}]), "spec.extensions"),
        (changed(nameConstraints=5), "spec.nameConstraints"),
        (changed(nameConstraints={"permitted": 5}), "spec.nameConstraints"),
        (changed(subject=5), "spec.subject"),
        (changed(duration="999999999h"), "spec.duration"),
        (changed(renewBefore="999999999h"), "spec.renewBefore"),
        (changed(duration=5), "spec.duration"),
    ],
)
def test_what_is_odd_about_a_request_is_told_with_its_field(spec: Any, field: str) -> None:
    request = parsed(spec)
    assert request.problem.startswith(f"{field}: ")
    assert request.spec.secret_name in ("", "www-tls")


def test_the_longest_duration_that_admission_lets_through_is_read() -> None:
    assert not parsed(changed(duration="999999h9999999m999999999s")).problem


@pytest.mark.parametrize("limits", [5, [], "x", {"concurrent": []}, {"concurrent": True}, {"perMinute": 1.5}])
def test_limits_that_cannot_be_read_are_told(limits: Any) -> None:
    issuer = parse_issuer({"kind": "Issuer", "metadata": METADATA, "spec": {"selfSigned": {}, "limits": limits}})
    assert issuer.problem.startswith("spec.limits: it cannot be read")


@pytest.mark.parametrize("value", ["false", "true", 0, 1, [], {}, ""])
@pytest.mark.parametrize(
    "path",
    [
        "isCA",
        "mustStaple",
        "revocation.onDelete",
        "revocation.onRotation",
        "keystores.pkcs12.create",
        "keystores.jks.create",
    ],
)
def test_a_flag_that_is_no_boolean_says_neither_yes_nor_no(path: str, value: Any) -> None:
    nested = value
    first, *rest = path.split(".")
    for name in reversed(rest):
        nested = {name: nested, "passwordSecretRef": {"name": "p"}}
    assert parsed(changed(**{first: nested})).problem.startswith(f"spec.{path}: it is not a boolean: write true or")


@pytest.mark.parametrize("field", ["nameConstraints", "extensions"])
def test_a_flag_of_something_more_is_one_as_well(field: str) -> None:
    value: Any = {"critical": "false", "permitted": {"dnsDomains": ["a.example"]}}
    if field == "extensions":
        value = [{"oid": "1.2.3.4", "value": "BQA=", "critical": "false"}]
    problem = parsed(changed(**{field: value}, isCA=True)).problem
    assert problem.startswith(f"spec.{field}")
    assert ".critical: it is not a boolean" in problem


@pytest.mark.parametrize("value", ["retain", "Keep", "", 5, False, ["Retain"]])
def test_what_becomes_of_the_secret_is_not_guessed(value: Any) -> None:
    """It would be deleted with the request."""
    problem = parsed(changed(deletionPolicy=value)).problem
    assert problem == "spec.deletionPolicy: it is none of those that there are: write Delete or Retain"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (changed(renewBeforePercentage=True), "spec.renewBeforePercentage"),
        (changed(pathLenConstraint=True, isCA=True), "spec.pathLenConstraint"),
        (changed(privateKey={"size": True}), "spec.privateKey"),
        (changed(privateKey=False), "spec.privateKey"),
        (changed(subject=""), "spec.subject"),
        (changed(commonName=False), "spec.commonName"),
        (changed(dnsNames=""), "dnsNames"),
        (changed(subject={"countries": "DE"}), "spec.subject.countries"),
        (
            changed(nameConstraints={"permitted": {"ipRanges": [1]}}, isCA=True),
            "spec.nameConstraints.permitted.ipRanges",
        ),
        (changed(privateKey={"algorithm": 5}), "spec.privateKey.algorithm"),
        (changed(privateKey={"secretRef": {"name": "x", "key": 5}}), "spec.privateKey.secretRef.key"),
        (
            changed(keystores={"jks": {"create": True, "passwordSecretRef": {"name": "x"}, "alias": 5}}),
            "spec.keystores.jks.alias",
        ),
        (changed(issuerRef={"name": "x", "kind": 5}), "spec.issuerRef.kind"),
        (changed(secretTemplate=[]), "spec.secretTemplate"),
    ],
)
def test_what_is_empty_or_true_is_told_where_something_else_belongs(spec: Any, field: str) -> None:
    assert parsed(spec).problem.startswith(f"{field}: ")


def test_null_is_as_good_as_absent() -> None:
    fields = ("commonName", "isCA", "deletionPolicy", "privateKey", "subject", "keystores", "usages", "revocation")
    assert not parsed(changed(**dict.fromkeys(fields))).problem


RULE = "spec.policy.rules[0]"
SELECTOR = f"{RULE}.namespaces.selector"


def with_rule(**rule: Any) -> dict[str, Any]:
    return {"rules": [rule]}


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (with_rule(isCA="false"), f"{RULE}.isCA"),
        (with_rule(isCA=1), f"{RULE}.isCA"),
        (with_rule(otherNames="false"), f"{RULE}.otherNames"),
        (with_rule(dnsNames={"suffixes": ["a.example"], "wildcards": "false"}), f"{RULE}.dnsNames.wildcards"),
        (with_rule(namespaces=False), "spec.policy"),
        (with_rule(namespaces={"names": ""}), f"{RULE}.namespaces.names"),
        (with_rule(dnsNames={"suffixes": "a.example"}), f"{RULE}.dnsNames.suffixes"),
        (with_rule(subject={"countries": "DE"}), f"{RULE}.subject.countries"),
        (with_rule(namespaces={"selector": ""}), "spec.policy"),
        (with_rule(keys=False), "spec.policy"),
        (with_rule(keys=[{"algorithm": "RSA", "minSize": True}]), "spec.policy"),
        (with_rule(usages=""), f"{RULE}.usages"),
        ({"rules": False}, "spec.policy"),
        ({"default": False}, "spec.policy.default"),
        ({"default": ""}, "spec.policy.default"),
        ({"default": "deny"}, "spec.policy.default"),
        (
            with_rule(namespaces={"selector": {"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}}),
            f"{SELECTOR}.matchExpressions[0].operator",
        ),
    ],
)
def test_a_policy_lets_nothing_more_be_asked_for_because_it_is_odd(policy: Any, field: str) -> None:
    issuer = parse_issuer({"kind": "Issuer", "metadata": METADATA, "spec": {"selfSigned": {}, "policy": policy}})
    assert issuer.problem.startswith(f"{field}: ")
    assert issuer.backend == ""


FLAGS = {
    "acme": (
        *("termsOfServiceAgreed", "deactivateAccount", "disableAccountKeyGeneration", "insecureAllowAnyURL"),
        "enableDurationFeature",
    ),
    "digicert": ("cancelPending", "skipApproval"),
    "sectigo": ("cancelPending",),
}
CONFIGS: dict[str, dict[str, Any]] = {
    "acme": {"server": "https://acme.example/directory", "privateKeySecretRef": {"name": "account"}},
    "digicert": {"product": "ssl_basic", "secretName": "digicert"},
    "sectigo": {
        "login": {"secretName": "sectigo"},
        "customerURI": "example",
        "organization": "1",
        "profile": "1",
    },
}


@pytest.mark.parametrize(("backend", "flag"), [(backend, flag) for backend, flags in FLAGS.items() for flag in flags])
async def test_a_flag_of_an_issuer_that_is_no_boolean_says_neither_yes_nor_no(backend: str, flag: str) -> None:
    """An account is not deactivated by a "false"."""
    async with testing.world() as world:
        assert registry.create(backend, CONFIGS[backend], world.context)
        with pytest.raises(Misconfigured) as refused:
            registry.create(backend, {**CONFIGS[backend], flag: "false"}, world.context)
    assert str(refused.value).startswith(f"spec.{backend}.{flag}: it is not a boolean: write true or false")


async def test_a_flag_of_a_dns_provider_is_one_as_well() -> None:
    solver = {"dns01": {"recursiveNameserversOnly": "false"}}
    async with testing.world() as world:
        with pytest.raises(Misconfigured, match=r"spec\.acme\.solvers\[0\]\.dns01\.recursiveNameserversOnly: it is"):
            registry.create("acme", {**CONFIGS["acme"], "solvers": [solver]}, world.context)
