"""Proof that somebody has the private key of a certificate, and so may have it revoked (as in RFC 8555, 7.6)."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.keys import PrivateKey, signature_hash


def prove(key: PrivateKey, certificate: x509.Certificate) -> bytes:
    """A CSR (DER) that names nothing but the certificate: it cannot be one that was made for another purpose."""
    return (
        x509.CertificateSigningRequestBuilder(_subject(certificate))
        .sign(key, signature_hash(key))
        .public_bytes(Encoding.DER)
    )


def proves(proof: bytes, certificate: x509.Certificate) -> bool:
    """Whether `prove` made it, with the certificate's own key."""
    try:
        csr = load_csr(proof)
    except PkiError:
        return False
    return csr.subject == _subject(certificate) and csr.public_key() == certificate.public_key()


def _subject(certificate: x509.Certificate) -> x509.Name:
    fingerprint = sha256_fingerprint(certificate).replace(":", "")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fingerprint)])
