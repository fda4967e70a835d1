"""Specs of any shape, as a CustomResourceDefinition of another version lets through: each is told by its field."""

from typing import Any

import pytest

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest

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
