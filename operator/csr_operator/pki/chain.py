"""Certificates as CAs hand them out, put into the order that servers want."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from csr_operator.pki import pem
from csr_operator.pki.asn1 import OBJECT_IDENTIFIER, SEQUENCE, count
from csr_operator.pki.errors import PkiError, name_text
from csr_operator.pki.extensions import check_size
from csr_operator.pki.faults import certificate_fault
from csr_operator.pki.keys import check_algorithm, is_pss, public_key_der
from csr_operator.pki.signatures import FoldedName, folded, is_self_signed, issued_by

# A Secret holds 1 MiB, and the trust stores of browsers and distributions hold about 150 certificates.
MAX_BUNDLE_BYTES = 1024 * 1024
MAX_BUNDLE_CERTIFICATES = 250
MAX_DEPTH = 10
MAX_TRIALS = 2 * MAX_BUNDLE_CERTIFICATES + MAX_DEPTH
"""Certificates that are tried as the issuer of another because of their names: each may cost a verification."""

MAX_CHAINS = 16
"""Ways up from one certificate, of which the best is taken."""

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


_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")  # RFC 7468, 5
_PKCS7_LABELS = ("PKCS7", "CMS", "PKCS #7 SIGNED DATA")  # RFC 7468, 8 and 9


def load_bundle(data: bytes) -> tuple[x509.Certificate, ...]:
    """Read certificates: PEM (other blocks are skipped), one in DER, or PKCS #7 (CMS) in either form.

    The input is bounded before it is parsed, at 1 MiB and 250 certificates. PkiError when there is no
    certificate, one of them is too large (`extensions.check_size`) or of a key that is not accepted
    (`keys.check_algorithm`), or all together are too large.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise PkiError(f"the certificates take more than {MAX_BUNDLE_BYTES} bytes")
    if data.count(_BEGIN) > MAX_BUNDLE_CERTIFICATES:
        raise PkiError(f"there are more than {MAX_BUNDLE_CERTIFICATES} certificates")
    certificates = _load_der(data, "the certificate") if data[:1] == b"\x30" else _load_pem(data)
    if not 0 < len(certificates) <= MAX_BUNDLE_CERTIFICATES:
        raise PkiError(f"there are {len(certificates)} certificates where 1 to {MAX_BUNDLE_CERTIFICATES} are required")
    if len(data) > 2 * _MAX_VALUES and _values(certificates) > _MAX_VALUES:
        raise PkiError(f"the certificates consist of more than {_MAX_VALUES} values: leave some out")
    for number, certificate in enumerate(certificates, start=1):
        which = f"certificate {number} of {len(certificates)}" if len(certificates) > 1 else "the certificate"
        try:
            check_size(certificate)
            check_algorithm(certificate)
        except PkiError as error:
            raise PkiError(f"{which} is refused: {error}") from None
        try:
            _ = certificate.subject, certificate.issuer  # decoded on access
        except Exception:  # whatever the library stumbles over
            fault = certificate_fault(certificate.public_bytes(Encoding.DER))
            raise PkiError(f"{which} cannot be read: {fault}") from None
    return tuple(certificates)


def _values(certificates: Iterable[x509.Certificate]) -> int:
    number = 0
    for certificate in certificates:
        if number > _MAX_VALUES:
            break
        number += count(certificate.public_bytes(Encoding.DER), _MAX_VALUES - number)
    return number


def build_chain(
    key: CertificatePublicKeyTypes | x509.CertificateSigningRequest,
    certificates: Iterable[x509.Certificate],
    *,
    beside: Iterable[x509.Certificate] = (),
    roots: Iterable[x509.Certificate] = (),
    now: datetime | None = None,
) -> Chain:
    """The first of `chains`; PkiError if there is none."""
    return chains(key, certificates, beside=beside, roots=roots, now=now)[0]


def chains(
    key: CertificatePublicKeyTypes | x509.CertificateSigningRequest,
    certificates: Iterable[x509.Certificate],
    *,
    beside: Iterable[x509.Certificate] = (),
    roots: Iterable[x509.Certificate] = (),
    now: datetime | None = None,
) -> tuple[Chain, ...]:
    """Chains from a certificate for ``key`` among ``certificates`` up, by name and signature, the best first.

    The order given does not matter; duplicates and unrelated certificates are dropped. CAs may also be in ``beside``
    or in ``roots``, which are the issuer's: a chain that reaches one of them ends there. Where a CA is there both
    self-signed and cross-signed, the self-signed certificate ends the chain. There may be several ways up (RFC 4158):
    those that reach a root come first, of those the ones that are valid at ``now`` (with time zone), and of several
    certificates for the key the one that expires last. At most MAX_CHAINS are returned, and MAX_TRIALS steps tried.

    PkiError when there is no certificate for the key, or when one is not signed by the CA that it names as its issuer.
    """
    given = list(dict.fromkeys(certificates))
    spki = public_key_der(key.public_key() if isinstance(key, x509.CertificateSigningRequest) else key)
    leaves = [certificate for certificate in given if spki_of(certificate) == spki]
    if not leaves:
        raise PkiError(f"chain: none of the {len(given)} certificates is for the key that was asked for")
    if now is not None:
        leaves.sort(key=lambda leaf: (_age(leaf, now), -leaf.not_valid_after_utc.timestamp()))
    anchors = frozenset(roots)
    search = _Search((*given, *beside), anchors, now)
    built = list(islice((Chain(*way) for leaf in leaves for way in search.upwards([leaf])), MAX_CHAINS))
    if not built:
        raise PkiError(search.fault)

    def rank(chain: Chain) -> tuple[bool, bool]:
        reaches = not anchors or chain.certificates[-1] in anchors
        return not reaches, now is not None and any(_age(certificate, now) for certificate in chain.certificates)

    return tuple(sorted(built, key=rank))


class _Search:
    """The ways up from a certificate. fault: why one of them led nowhere."""

    def __init__(
        self, pool: Iterable[x509.Certificate], anchors: frozenset[x509.Certificate], now: datetime | None
    ) -> None:
        self._anchors, self._now, self._left, self.fault = anchors, now, MAX_TRIALS, ""
        self._given = frozenset(pool)
        self._by_name: defaultdict[FoldedName, list[x509.Certificate]] = defaultdict(list)
        for certificate in dict.fromkeys((*pool, *anchors)):
            self._by_name[folded(certificate.subject)].append(certificate)

    def upwards(
        self, path: list[x509.Certificate]
    ) -> Iterator[tuple[x509.Certificate, tuple[x509.Certificate, ...], x509.Certificate | None]]:
        """The arguments of each Chain that begins with `path`."""
        top = path[-1]
        if is_self_signed(top) or (top in self._anchors and folded(top.issuer) == folded(top.subject)):
            yield path[0], tuple(path[1:-1]), top
        elif top in self._anchors:
            yield path[0], tuple(path[1:]), None
        elif len(path) == MAX_DEPTH:
            self.fault = f"chain: it has more than {MAX_DEPTH} certificates"
        else:
            named = [candidate for candidate in self._by_name[folded(top.issuer)] if candidate not in path]
            is_signed = goes_on = False
            for issuer in sorted(named, key=self._rank):
                if not self._left:
                    self.fault = (
                        f"chain: more than {MAX_TRIALS} certificates are named as its issuers: leave out the others"
                    )
                    return
                self._left -= 1
                if issued_by(top, issuer):
                    is_signed = True
                    if not any(_is_same_ca(issuer, certificate) for certificate in path):
                        goes_on = True
                        yield from self.upwards([*path, issuer])
            if not is_signed and any(candidate in self._given for candidate in named):
                self.fault = (
                    f"chain: {name_text(top.subject)} is not signed by the certificate that came along of"
                    f" {name_text(top.issuer)}, which it names as its issuer"
                )
            elif not goes_on:
                yield path[0], tuple(path[1:]), None

    def _rank(self, issuer: x509.Certificate) -> tuple[bool, int, bool]:
        age = _age(issuer, self._now) if self._now is not None else 0
        return issuer not in self._anchors, age, issuer.subject != issuer.issuer


def _age(certificate: x509.Certificate, now: datetime) -> int:
    """0 while it is valid, 1 before, 2 afterwards."""
    if now > certificate.not_valid_after_utc:
        return 2
    return int(now < certificate.not_valid_before_utc)


def _is_same_ca(ca: x509.Certificate, other: x509.Certificate) -> bool:
    """A path that comes by a CA twice leads nowhere (RFC 4158, 2.4.2)."""
    return folded(ca.subject) == folded(other.subject) and spki_of(ca) == spki_of(other)


def spki_of(certificate: x509.Certificate) -> bytes | None:
    """The DER of the SubjectPublicKeyInfo; None when it is of a kind that is not accepted or cannot be read."""
    try:
        check_algorithm(certificate)
        # A key for RSASSA-PSS alone is not the plain one that the library makes of it.
        return None if is_pss(certificate) else public_key_der(certificate.public_key())
    except Exception:  # whatever the library stumbles over
        return None


def _load_pem(data: bytes) -> list[x509.Certificate]:
    try:
        sections = pem.blocks(data)
    except PkiError as error:
        raise PkiError(f"the certificates cannot be read: {error}") from None
    wanted = [(label, der) for label, der in sections if label in (*_LABELS, *_PKCS7_LABELS)]
    certificates: list[x509.Certificate] = []
    for number, (label, der) in enumerate(wanted, start=1):
        which = f"certificate {number} of {len(wanted)}" if len(wanted) > 1 else "the certificate"
        certificates += _load_pkcs7(der, which) if label in _PKCS7_LABELS else _load_der(der, which)
    if certificates:
        return certificates
    if any(label == "TRUSTED CERTIFICATE" for label, _ in sections):
        raise PkiError(
            "a TRUSTED CERTIFICATE is OpenSSL's own form: write it anew with `openssl x509 -in FILE`, without -trustout"
        )
    if sections:
        raise PkiError(f"there is no certificate in it, only {sections[0][0]}: PEM, DER or PKCS #7 is required")
    if pem.without_lines(data):
        raise PkiError(
            "there is no certificate in it that can be seen: put the lines -----BEGIN CERTIFICATE----- and"
            " -----END CERTIFICATE----- around the base64"
        )
    raise PkiError("there is no certificate in it: PEM, DER or PKCS #7 is required")


def _load_der(der: bytes, which: str) -> list[x509.Certificate]:
    if _is_pkcs7(der):  # also under the label of a certificate, as AD CS writes it
        return _load_pkcs7(der, which)
    try:
        return [x509.load_der_x509_certificate(der)]
    except Exception:  # whatever the library stumbles over
        raise PkiError(f"{which} cannot be read: {certificate_fault(der)}") from None


def _is_pkcs7(der: bytes) -> bool:
    """It begins as a ContentInfo does (RFC 5652, 3), in DER or BER."""
    if len(der) < 4 or der[0] != SEQUENCE:
        return False
    return der[2 if der[1] <= 0x80 else 2 + (der[1] & 0x7F) :][:1] == bytes((OBJECT_IDENTIFIER,))


def _load_pkcs7(der: bytes, which: str) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        # EST servers write the certificates in BER order, which is read with a warning.
        warnings.simplefilter("ignore")
        try:
            return pkcs7.load_der_pkcs7_certificates(der)
        except Exception:  # whatever the library stumbles over
            raise PkiError(f"{which} cannot be read: the PKCS #7 is damaged, or has no certificate in it") from None
