"""Certificates as CAs hand them out, put into the order that servers want."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from csr_operator.pki.asn1 import count
from csr_operator.pki.errors import PkiError, name_text, why_unreadable
from csr_operator.pki.extensions import check_size
from csr_operator.pki.keys import check_algorithm, public_key_der
from csr_operator.pki.signatures import FoldedName, folded, is_self_signed, issued_by

# A Secret holds 1 MiB, and the trust stores of browsers and distributions hold about 150 certificates.
MAX_BUNDLE_BYTES = 1024 * 1024
MAX_BUNDLE_CERTIFICATES = 250
MAX_DEPTH = 10
MAX_TRIALS = MAX_BUNDLE_CERTIFICATES + MAX_DEPTH
"""Certificates that are tried as the issuer of one of a chain because of their names: each costs a verification."""

_MAX_VALUES = 50_000  # ASN.1 values; a CA's certificate has some hundred of them

_BEGIN = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate and the CAs above it, each issued by the next. ``root`` is self-signed, where known."""

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...] = ()
    root: x509.Certificate | None = None

    @property
    def pem(self) -> bytes:
        """What a server sends: leaf first, then intermediates, the root left out (RFC 8446, 4.4.2)."""
        return to_pem((self.leaf, *self.intermediates))

    @property
    def ca_pem(self) -> bytes:
        """The root, or else the topmost CA certificate known; empty when there is none."""
        top = self.root or (self.intermediates[-1] if self.intermediates else None)
        return to_pem((top,) if top else ())

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All of them, from the leaf up, the root included once."""
        if self.root is None or self.root == self.leaf:
            return (self.leaf, *self.intermediates)
        return (self.leaf, *self.intermediates, self.root)


def to_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates as PEM, in the order given."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def load_bundle(data: bytes) -> tuple[x509.Certificate, ...]:
    """Read certificates: PEM (other blocks are skipped), one in DER, or PKCS #7 in either form.

    The input is bounded before it is parsed, at 1 MiB and 250 certificates. PkiError when there is no
    certificate, one of them is too large (`extensions.check_size`) or of a key that is not accepted
    (`keys.check_algorithm`), or all together are too large.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise PkiError(f"the certificates take more than {MAX_BUNDLE_BYTES} bytes")
    if data.count(_BEGIN) > MAX_BUNDLE_CERTIFICATES:
        raise PkiError(f"there are more than {MAX_BUNDLE_CERTIFICATES} certificates")
    try:
        if _BEGIN in data:
            certificates = x509.load_pem_x509_certificates(data)
        elif data[:1] == b"\x30":
            certificates = _load_der(data)
        elif b"-----BEGIN PKCS7-----" in data:
            certificates = _load_pkcs7(data, pkcs7.load_pem_pkcs7_certificates)
        else:
            raise PkiError("there is no certificate in it: PEM, DER or PKCS #7 is wanted")
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        if isinstance(error, PkiError):
            raise
        raise PkiError(f"the certificates cannot be read: {why_unreadable(error)}") from None
    if not 0 < len(certificates) <= MAX_BUNDLE_CERTIFICATES:
        raise PkiError(f"there are {len(certificates)} certificates where 1 to {MAX_BUNDLE_CERTIFICATES} are wanted")
    if len(data) > 2 * _MAX_VALUES and _values(certificates) > _MAX_VALUES:
        raise PkiError(f"the certificates consist of more than {_MAX_VALUES} values: leave some out")
    for certificate in certificates:
        try:
            check_size(certificate)
            check_algorithm(certificate)
            _ = certificate.subject, certificate.issuer  # decoded on access
        except PkiError as error:
            raise PkiError(f"a certificate is refused: {error}") from None
        except Exception:  # whatever the library stumbles over
            raise PkiError("a certificate has a name that cannot be read") from None
    return tuple(certificates)


def _values(certificates: Iterable[x509.Certificate]) -> int:
    found = 0
    for certificate in certificates:
        if found > _MAX_VALUES:
            break
        found += count(certificate.public_bytes(Encoding.DER), _MAX_VALUES - found)
    return found


def build_chain(
    key: CertificatePublicKeyTypes | x509.CertificateSigningRequest, certificates: Iterable[x509.Certificate]
) -> Chain:
    """Find the certificate for ``key`` among ``certificates``, and the CAs above it by name and signature.

    The order given does not matter; duplicates and unrelated certificates are dropped. Add the issuer's roots, which
    most CAs leave out, to have the chain end in one. Where a CA is there both self-signed and cross-signed, the
    self-signed certificate ends the chain. PkiError when there is no certificate for the key, or when one is not signed
    by the CA that it names as its issuer.
    """
    pool = list(dict.fromkeys(certificates))
    spki = public_key_der(key.public_key() if isinstance(key, x509.CertificateSigningRequest) else key)
    leaf = next((certificate for certificate in pool if spki_of(certificate) == spki), None)
    if leaf is None:
        raise PkiError(f"chain: none of the {len(pool)} certificates is for the key that was asked for")
    path, trials = [leaf], 0
    by_name: defaultdict[FoldedName, list[x509.Certificate]] = defaultdict(list)
    for one in pool:
        by_name[folded(one.subject)].append(one)
    while not is_self_signed(path[-1]):
        if len(path) == MAX_DEPTH:
            raise PkiError(f"chain: it has more than {MAX_DEPTH} certificates")
        candidates = [one for one in by_name[folded(path[-1].issuer)] if one not in path]
        trials += len(candidates)
        if trials > MAX_TRIALS:
            raise PkiError(f"chain: more than {MAX_TRIALS} certificates are named as its issuers: leave out the others")
        if not candidates:
            return Chain(leaf, tuple(path[1:]))
        path.append(_issuer(path[-1], candidates))
    return Chain(leaf, tuple(path[1:-1]), path[-1])


def spki_of(certificate: x509.Certificate) -> bytes | None:
    """The DER of the SubjectPublicKeyInfo; None when it is of a kind that is not accepted or cannot be read."""
    try:
        check_algorithm(certificate)
        return public_key_der(certificate.public_key())
    except Exception:  # whatever the library stumbles over
        return None


def _issuer(last: x509.Certificate, candidates: Iterable[x509.Certificate]) -> x509.Certificate:
    """Of those that are named as the issuer of `last`, the one that is; a self-signed one if there are several."""
    found = [one for one in candidates if issued_by(last, one)]
    if not found:
        raise PkiError(
            f"chain: {name_text(last.subject)} is not signed by the certificate that came along of"
            f" {name_text(last.issuer)}, which it names as its issuer"
        )
    return next(filter(is_self_signed, found), found[0])


def _load_der(data: bytes) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        return _load_pkcs7(data, pkcs7.load_der_pkcs7_certificates)


def _load_pkcs7(data: bytes, load: Callable[[bytes], list[x509.Certificate]]) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        # EST servers write the certificates in BER order, which is read with a warning.
        warnings.simplefilter("ignore")
        return load(data)
