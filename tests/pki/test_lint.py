"""What we sign, judged by linters that CAs use: pkilint, and zlint with the lints that are not a CA's own policy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from csr_operator.pki.authority import Authority
from csr_operator.pki.names import Names
from csr_operator.pki.profile import CustomExtension, NameConstraints, Profile, Subtrees
from tests.pki.support import DAY, ED25519, ML_DSA, NOW, P256, P384, RSA, WWW, Request, authority, issue, pem, request
from tests.pki.test_csr import EVERY_NAME
from tests.support.tools import ZLINT, go_tool

pytestmark = pytest.mark.slow("builds zlint")

# Public CAs must add what browsers ask for (policies, revocation, transparency); a private CA is held to the RFCs.
ZLINT_SOURCES = "RFC3279,RFC5280,RFC5480,RFC5891,RFC6962,RFC8813,Community"
TLS = Profile(usages=("digital signature", "key encipherment", "server auth", "client auth"))
CASES: dict[str, Request] = {
    "RSA": request(WWW, TLS, RSA),
    "ECDSA": request(WWW, TLS, P256),
    "Ed25519": request(WWW, TLS, ED25519),
    "ML-DSA": request(WWW, TLS, ML_DSA[0]),
    "every name": request(EVERY_NAME, TLS),
    "no subject": request(Names(dns_names=("example.com",)), TLS),
    "no usages": request(WWW, Profile()),
    "must-staple and an extension of one's own": request(
        WWW, Profile(TLS.usages, must_staple=True, extensions=(CustomExtension("1.3.6.1.4.1.99999.1", b"\x05\x00"),))
    ),
    "intermediate CA": request(
        Names(common_name="Sub CA"),
        Profile(
            is_ca=True,
            path_length=0,
            name_constraints=NameConstraints(
                permitted=Subtrees(
                    dns_domains=("example.com",), ip_ranges=("10.0.0.0/8",), uri_domains=(".example.com",)
                )
            ),
        ),
    ),
}
# pkilint's idea of RFC 5280 has no wildcards (RFC 9525) and takes no scheme for a URI that it does not know.
NO_FINDINGS = {
    ("pkix.invalid_domain_name_syntax", 'Invalid domain name syntax: "*.example.com"'),
    ("pkix.invalid_uri_syntax", 'Invalid URI syntax: "spiffe://example.com/web"'),
}


@pytest.fixture(scope="module")
def root() -> Authority:
    return authority(parameters=P384)


@pytest.fixture(scope="session")
def zlint() -> Path:
    return go_tool(*ZLINT)


def by_pkilint(file: Path) -> list[tuple[str, str]]:
    linter = Path(sys.executable).parent / "lint_pkix_cert"
    # It exits with the number of its findings.
    done = subprocess.run([linter, "lint", "-s", "NOTICE", "-f", "JSON", file], capture_output=True, timeout=60)
    results = json.loads(done.stdout)["results"]
    found = {(one["code"], one.get("message", "")) for result in results for one in result["finding_descriptions"]}
    return sorted(found - NO_FINDINGS)


def by_zlint(zlint: Path, file: Path) -> dict[str, object]:
    command: list[str | Path] = [zlint, "-includeSources", ZLINT_SOURCES, file]
    results = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert sum(one["result"] == "pass" for one in results.values()) > 30
    return {name: one for name, one in results.items() if one["result"] not in ("pass", "NA", "NE")}


@pytest.mark.parametrize("case", CASES)
def test_no_linter_finds_fault_with_a_certificate(case: str, root: Authority, zlint: Path, tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.write_bytes(pem(issue(root, CASES[case]).leaf))
    assert by_pkilint(file) == []
    assert by_zlint(zlint, file) == {}


def test_no_linter_finds_fault_with_a_root(root: Authority, zlint: Path, tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_bytes(pem(root.certificate))
    assert by_pkilint(file) == []
    assert by_zlint(zlint, file) == {}


def test_the_linters_do_find_fault(root: Authority, zlint: Path, tmp_path: Path) -> None:
    """Otherwise the tests above would say nothing."""
    name = root.certificate.subject
    bad = (
        x509.CertificateBuilder(name, name, request().csr.public_key(), 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("-_.example")]), critical=False)
        .sign(root.key, hashes.SHA384())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(pem(bad))
    assert "pkix.invalid_domain_name_syntax" in dict(by_pkilint(file))
    assert "e_rfc_dnsname_hyphen_in_sld" in by_zlint(zlint, file)
