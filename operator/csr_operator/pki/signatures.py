"""Who issued a certificate, by name and signature."""

from functools import lru_cache
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

from csr_operator.pki.keys import check_algorithm

FoldedName: TypeAlias = tuple[frozenset[tuple[str, str]], ...]

_WEAK_HASHES = (hashes.MD5, hashes.SHA1)


@lru_cache(maxsize=512)
def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name matches (RFC 5280, 7.1) and the signature is the issuer's, however weak its hash.

    Says nothing of whether the issuer is a CA.
    """
    if _is_laborious(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except ValueError:
        if certificate is issuer:
            return False  # the names differ
    except (TypeError, InvalidSignature, UnsupportedAlgorithm):
        pass
    else:
        return True
    # cryptography compares names octet by octet, where a CA that was renewed may spell itself another way, and verifies
    # no SHA-1, with which many a root still is signed.
    try:
        given, wanted = certificate.issuer, issuer.subject
        if given.public_bytes() == wanted.public_bytes() and weak_hash(certificate) is None:
            return False
        return folded(given) == folded(wanted) and _verifies(certificate, issuer)
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is signed with its own key under its own name."""
    return issued_by(certificate, certificate)


def weak_hash(signed: x509.Certificate | x509.CertificateSigningRequest) -> str | None:
    """The name of the hash that it is signed with, when that is a broken one.

    ValueError or UnsupportedAlgorithm when it is unknown.
    """
    used = signed.signature_hash_algorithm
    return used.name.upper() if isinstance(used, _WEAK_HASHES) else None


def folded(name: x509.Name) -> FoldedName:
    """A name for comparison: case, runs of white space and the string type do not count (RFC 5280, 7.1)."""
    return tuple(
        frozenset((attribute.oid.dotted_string, " ".join(str(attribute.value).casefold().split())) for attribute in rdn)
        for rdn in name.rdns
    )


def _is_laborious(issuer: x509.Certificate) -> bool:
    """Its key is one that `keys.parameters_of` refuses, made so that to read it or each verification takes long."""
    try:
        check_algorithm(issuer)
        key = issuer.public_key()
    except Exception:  # whatever the library stumbles over: it verifies nothing either
        return True
    return isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e >= 1 << 256


def _verifies(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    how, used = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    match issuer.public_key():
        case rsa.RSAPublicKey() as key if isinstance(how, padding.PKCS1v15 | padding.PSS) and used is not None:
            key.verify(signature, signed, how, used)
        case ec.EllipticCurvePublicKey() as key if isinstance(how, ec.ECDSA):
            key.verify(signature, signed, how)
        case (
            ed25519.Ed25519PublicKey()
            | mldsa.MLDSA44PublicKey()
            | mldsa.MLDSA65PublicKey()
            | mldsa.MLDSA87PublicKey() as key
        ):
            key.verify(signature, signed)
        case _:
            return False
    return True
