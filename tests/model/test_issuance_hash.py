"""What has a certificate issued anew, and what does not: an upgrade of the operator never."""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import pytest

from csr_operator.api.keys import IssuerRef, SecretKeyRef
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import (
    KEY_REISSUES_NOTHING,
    REISSUES_NOTHING,
    Outputs,
    PrivateKeySpec,
    RequestSpec,
    Revocation,
    RotationPolicy,
    SecretTemplate,
)
from csr_operator.pki.csr import CsrTemplate
from csr_operator.pki.keys import KeyAlgorithm, KeyEncoding, KeyParameters
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile

CSR = """\
-----BEGIN CERTIFICATE REQUEST-----
MIGvMGMCAQAwADAqMAUGAytlcAMhALEkRfzcltGJ7Sm2gPmtI3lx7vxsx+cKGo/E
rmxLaENOoDAwLgYJKoZIhvcNAQkOMSEwHzAdBgNVHREBAf8EEzARgg93d3cuZXhh
bXBsZS5jb20wBQYDK2VwA0EA0qF6QMCY8mIszPaDvrrTKbskqSxtLI+rypQMA0X3
NLreqMSf5XlEpR5DNG7eaH7Ek48TJhIpjwnuJV3w7XnaCA==
-----END CERTIFICATE REQUEST-----
"""


def hash_of(spec: dict[str, Any]) -> str:
    metadata = {"namespace": "n", "name": "www", "uid": "u", "resourceVersion": "1", "generation": 1}
    issuer = {} if "issuerRefs" in spec else {"issuerRef": {"name": "ca"}}
    request = parse_request({"metadata": metadata, "spec": {"secretName": "www-tls", **issuer, **spec}})
    assert request.problem == ""
    return request.issuance_hash


# A change of one of these values reissues every certificate of every cluster at once, at the upgrade, and some CAs are
# paid for each. They are never to be adapted to the code.
@pytest.mark.parametrize(
    ("spec", "issuance_hash"),
    [
        pytest.param(
            {"dnsNames": ["www.example.com"]},
            "a0e8e35aebccc5ffca2ad45447fd8871e19a334830d4f3bf46daabe8cccf3147",
            id="minimal",
        ),
        pytest.param(
            {
                "isCA": True,
                "commonName": "Root",
                "dnsNames": [],
                "duration": "87600h",
                "privateKey": {"algorithm": "RSA", "size": 4096},
                "usages": ["cert sign", "crl sign"],
            },
            "7005942c5c76cb91f387cf79ce310167ee29e5e50ab9b8ee3805c322c80b20d0",
            id="CA",
        ),
        pytest.param(
            {
                "issuerRefs": [{"name": "a"}, {"name": "b", "kind": "ClusterIssuer"}],
                "dnsNames": ["b.example.com", "a.example.com"],
                "ipAddresses": ["192.0.2.1"],
                "subject": {"organizations": ["Example"]},
                "renewBefore": "24h",
                "revocation": {"onDelete": True},
                "privateKey": {"algorithm": "ECDSA", "size": 384, "encoding": "PKCS8", "rotationPolicy": "Never"},
                "keystores": {"pkcs12": {"create": True, "passwordSecretRef": {"name": "p"}}},
            },
            "13292c7bdd41bca4438eaef39f503b7b56b28e1db1f3d977424e935ad2ce1998",
            id="many fields",
        ),
        pytest.param(
            {"dnsNames": ["www.example.com"], "privateKey": {"secretRef": {"name": "key"}}},
            "ca8098e088ac9b3bd3d94f346d92eb7768e51dcb7be527f89420c1dfb084026c",
            id="own key",
        ),
        pytest.param(
            {"request": CSR}, "d1555d336e3e61c4eb0b0d9d4637df3d5e23401e71f6874591e51649c0d895e4", id="own CSR"
        ),
    ],
)
def test_an_upgrade_reissues_nothing(spec: dict[str, Any], issuance_hash: str) -> None:
    assert hash_of(spec) == issuance_hash


SPEC = RequestSpec("www-tls", (IssuerRef("ca"),), CsrTemplate(Names("www.example.com"), Profile()))

# For each field another value than that of SPEC. Whoever adds a field adds a value here, and decides by that whether a
# change of the field has another certificate issued.
OTHERS: dict[str, Any] = {
    "secret_name": "other",
    "issuer_refs": (IssuerRef("other"),),
    "template": CsrTemplate(Names("other.example.com"), Profile()),
    "csr_pem": "another CSR",
    "private_key": PrivateKeySpec(secret_ref=SecretKeyRef("key", "tls.key")),
    "secret_template": SecretTemplate((("team", "web"),)),
    "outputs": Outputs(der=True),
    "duration": timedelta(days=1),
    "renew_before": timedelta(days=1),
    "renew_before_percentage": 10,
    "retain": True,
    "revocation": Revocation(on_delete=True),
}
OTHERS_OF_KEY: dict[str, Any] = {
    "parameters": KeyParameters(KeyAlgorithm.RSA),
    "encoding": KeyEncoding.PKCS8,
    "rotation_policy": RotationPolicy.NEVER,
    "secret_ref": SecretKeyRef("key", "tls.key"),
}


def test_each_field_has_another_certificate_issued_or_is_named_as_one_that_does_not() -> None:
    assert [f.name for f in fields(RequestSpec)] == [*OTHERS], "decide on the new field"
    same = {name for name, value in OTHERS.items() if hash_with(**{name: value}) == SPEC.issuance_hash()}
    assert same == REISSUES_NOTHING


def test_so_has_each_field_of_the_key() -> None:
    assert [f.name for f in fields(PrivateKeySpec)] == [*OTHERS_OF_KEY], "decide on the new field"
    keys = {name: replace(SPEC.private_key, **{name: value}) for name, value in OTHERS_OF_KEY.items()}
    same = {name for name, key in keys.items() if hash_with(private_key=key) == SPEC.issuance_hash()}
    assert same == KEY_REISSUES_NOTHING


def hash_with(**changes: Any) -> str:
    return replace(SPEC, **changes).issuance_hash()


@dataclass(frozen=True, slots=True)
class LaterKey(PrivateKeySpec):
    hardware: str = ""


@dataclass(frozen=True, slots=True)
class LaterSpec(RequestSpec):
    transparency: bool = True


def test_a_field_that_a_later_version_adds_reissues_nothing_until_it_is_used() -> None:
    later = LaterSpec("www-tls", (IssuerRef("ca"),), SPEC.template, private_key=LaterKey())
    assert later.issuance_hash() == SPEC.issuance_hash()
    used = [replace(later, transparency=False), replace(later, private_key=LaterKey(hardware="a token"))]
    assert len({SPEC.issuance_hash(), *(spec.issuance_hash() for spec in used)}) == 3
