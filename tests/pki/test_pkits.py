"""NIST's PKITS: for each end certificate of the suite, whether `verify` accepts what its CA answered.

The request is made here, with the end certificate's own key and names, so that only the path decides. Left out is what
the suite has on revocation (4.4, 4.14, 4.15, parts of 4.5 and 4.7) and on certificate policies (4.8 to 4.12), which
`verify` does not look at.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from csr_operator.pki.chain import build_chain, load_bundle
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.profile import Profile
from csr_operator.pki.signatures import folded
from csr_operator.pki.verify import verify
from tests.pki.support import pem

DATA = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
NOW = datetime(2020, 1, 1, tzinfo=UTC)
# What the names of the end certificates of other sections have in them, and DSA, which is refused.
_OTHER = ("olicy", "CRL", "cRL", "istributionPoint", "onlySomeReasons", "onlyContains", "DSA")
VALID = [
    path.stem for path in sorted((DATA / "certs").glob("Valid*EE.crt")) if not any(word in path.stem for word in _OTHER)
]
# 4.2 of the suite takes serial numbers below zero for valid; RFC 5280, 4.1.2.2, does not.
VALID.remove("ValidNegativeSerialNumberTest14EE")
INVALID = {
    "InvalidCASignatureTest2EE": "is not signed by",
    "InvalidEESignatureTest3EE": "is not signed by",
    "InvalidCAnotBeforeDateTest1EE": 'CA "CN=Bad notBefore Date CA,.*" is valid from 2047.*, not now',
    "InvalidEEnotBeforeDateTest2EE": "validity: it begins only at 2047",
    "InvalidCAnotAfterDateTest5EE": 'CA "CN=Bad notAfter Date CA,.*" is valid from .* to 2011.*, not now',
    "InvalidEEnotAfterDateTest6EE": "validity: it ended at 2011",
    "Invalidpre2000UTCEEnotAfterDateTest7EE": "validity: it ended at 1999",
    "InvalidNegativeSerialNumberTest15EE": "serial number: not a positive number",
    "InvalidNameChainingTest1EE": "not among the issuer's roots",
    "InvalidNameChainingOrderTest2EE": "not among the issuer's roots",
    "InvalidMissingbasicConstraintsTest1EE": "is not a CA certificate",
    "InvalidcAFalseTest2EE": "is not a CA certificate",
    "InvalidcAFalseTest3EE": "is not a CA certificate",
    **{f"InvalidpathLenConstraintTest{n}EE": "has the path length" for n in (5, 6, 9, 10, 11, 12)},
    "InvalidSelfIssuedpathLenConstraintTest16EE": "has the path length 0, but 1 more",
    "InvalidkeyUsageCriticalkeyCertSignFalseTest1EE": "its key usage lacks keyCertSign",
    "InvalidkeyUsageNotCriticalkeyCertSignFalseTest2EE": "its key usage lacks keyCertSign",
    "InvalidBasicSelfIssuedCRLSigningKeyTest8EE": "is not a CA certificate",
    **{f"InvalidDNnameConstraintsTest{n}EE": "does not allow" for n in (2, 3, 7, 8, 9, 10, 12, 13, 15, 16, 17, 20)},
    **{f"InvalidRFC822nameConstraintsTest{n}EE": "does not allow" for n in (22, 24, 26)},
    **{f"InvalidDNandRFC822nameConstraintsTest{n}EE": "does not allow" for n in (28, 29)},
    **{f"InvalidDNSnameConstraintsTest{n}EE": "does not allow" for n in (31, 33, 38)},
    **{f"InvalidURInameConstraintsTest{n}EE": "does not allow" for n in (35, 37)},
    "InvalidUnknownCriticalCertificateExtensionTest2EE": "2.16.840.1.101.2.1.12.2, which is unknown here",
}
# The suite has a negative serial number, and one version of cryptography after another warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:.*serial number:UserWarning")


def read(name: str) -> x509.Certificate:
    return load_bundle((DATA / "certs" / f"{name}.crt").read_bytes())[0]


@cache
def authorities() -> dict[str, list[x509.Certificate]]:
    """All CA certificates by the name of their subject."""
    found: dict[str, list[x509.Certificate]] = {}
    for path in sorted((DATA / "certs").glob("*Cert.crt")):
        if path.stem not in ("TrustAnchorRootCertificate", "DSACACert", "DSAParametersInheritedCACert"):
            certificate = read(path.stem)
            found.setdefault(str(folded(certificate.subject)), []).append(certificate)
    return found


def answer(leaf: x509.Certificate) -> list[x509.Certificate]:
    """The leaf and every certificate that could stand above it, judged by name."""
    found = [leaf]
    for certificate in found:
        found += (one for one in authorities().get(str(folded(certificate.issuer)), ()) if one not in found)
    return found


def check(name: str) -> None:
    leaf = read(name)
    key = pkcs12.load_pkcs12((DATA / "pkcs12" / f"{name}.p12").read_bytes(), b"password").key
    builder = x509.CertificateSigningRequestBuilder(leaf.subject)
    if names := alternative_names(leaf):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    assert isinstance(key, rsa.RSAPrivateKey)
    csr = load_csr(pem(builder.sign(key, hashes.SHA256())))
    constraints = [e.value for e in leaf.extensions if isinstance(e.value, x509.BasicConstraints)]
    profile = Profile(is_ca=any(one.ca for one in constraints))
    chain = build_chain(csr, answer(leaf))
    verify(chain, csr, profile, now=NOW, roots=[read("TrustAnchorRootCertificate")])


@pytest.mark.parametrize("name", VALID)
def test_valid_paths_are_accepted(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", INVALID)
def test_invalid_paths_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(PkiError, match=INVALID[name]):
        check(name)
