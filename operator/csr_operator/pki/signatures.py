"""Who issued a certificate, by name and signature."""

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa


@lru_cache(maxsize=512)
def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name matches (RFC 5280, 7.1) and the signature is the issuer's.

    Says nothing of whether the issuer is a CA.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except ValueError:
        return certificate is not issuer and _issued_by_other_spelling(certificate, issuer)
    except (TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is signed with its own key under its own name."""
    return issued_by(certificate, certificate)


def folded(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    """A name for comparison: case and runs of white space do not count, nor does the string type (RFC 5280, 7.1)."""
    return [
        frozenset((one.oid.dotted_string, " ".join(str(one.value).casefold().split())) for one in rdn)
        for rdn in name.rdns
    ]


def _issued_by_other_spelling(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    # cryptography compares names octet by octet. A CA that renews its own certificate may spell itself
    # another way.
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    try:
        given, wanted = certificate.issuer, issuer.subject
        if folded(given) != folded(wanted) or given.public_bytes() == wanted.public_bytes():
            return False
        how = certificate.signature_algorithm_parameters
        match issuer.public_key():
            case rsa.RSAPublicKey() as key if isinstance(how, padding.PKCS1v15 | padding.PSS):
                assert certificate.signature_hash_algorithm is not None
                key.verify(signature, signed, how, certificate.signature_hash_algorithm)
            case ec.EllipticCurvePublicKey() as key if isinstance(how, ec.ECDSA):
                key.verify(signature, signed, how)
            case (
                ed25519.Ed25519PublicKey()
                | mldsa.MLDSA44PublicKey()
                | mldsa.MLDSA65PublicKey()
                | mldsa.MLDSA87PublicKey()
            ) as key:
                key.verify(signature, signed)
            case _:
                return False
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
