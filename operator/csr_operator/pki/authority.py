"""A certification authority in memory: what the `ca` and `selfSigned` backends sign with."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki import path
from csr_operator.pki.chain import build_chain, load_bundle, spki_of
from csr_operator.pki.errors import PkiError, name_text
from csr_operator.pki.extensions import alternative_names, extension_of, extensions_of
from csr_operator.pki.keys import PrivateKey, load_private_key, parameters_of, public_key_der, signature_hash
from csr_operator.pki.profile import Profile, profile_extensions


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA's certificate and key.

    ``chain`` starts with the CA's own certificate and goes up through its intermediates; it holds the root
    only when that is the CA's own certificate. ``root`` is the self-signed certificate at the top, where
    known.
    """

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)
    root: x509.Certificate | None = None

    @property
    def certificate(self) -> x509.Certificate:
        """The CA's own certificate."""
        return self.chain[0]

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Every certificate known, from the CA's own up to and including the root."""
        return tuple(dict.fromkeys((*self.chain, *((self.root,) if self.root else ()))))

    @property
    def not_before(self) -> datetime:
        """When the youngest certificate of the chain becomes valid, in UTC."""
        return max(certificate.not_valid_before_utc for certificate in self.certificates)

    @property
    def not_after(self) -> datetime:
        """When the first certificate of the chain expires, in UTC: nothing signed now may outlive it."""
        return min(certificate.not_valid_after_utc for certificate in self.certificates)

    def valid_at(self, now: datetime) -> bool:
        """Whether every certificate of the chain is valid at ``now`` (with time zone)."""
        return self.not_before <= now <= self.not_after


def load_authority(
    certificate_pem: bytes, key_pem: bytes, ca_pem: bytes = b"", *, now: datetime | None = None
) -> Authority:
    """Read a CA from what a TLS Secret holds: tls.crt (with its chain), tls.key and ca.crt.

    Certificates that do not belong to the chain are ignored, and of several ways up one is taken that is valid at
    ``now``, if there is any. PkiError when the key does not belong to the certificate, when the certificate may not
    sign others or one above it may not sign it (`path.check_authorities`), or when one of its fields is malformed.
    Whether the CA is valid now is left to `Authority.valid_at`. Each message names the key of the Secret.
    """
    with _about("tls.key"):
        key = load_private_key(key_pem)
    with _about("tls.crt"):
        certificates = load_bundle(certificate_pem)
    if all(spki_of(certificate) != public_key_der(key.public_key()) for certificate in certificates):
        raise PkiError("tls.key: it is not the key of a certificate in tls.crt: give the key and certificate of one CA")
    with _about("ca.crt"):
        beside = load_bundle(ca_pem) if ca_pem.strip() else ()
    with _about("tls.crt"):
        return _authority(key, certificates, beside, now)


@contextlib.contextmanager
def _about(part: str) -> Iterator[None]:
    try:
        yield
    except PkiError as error:
        raise PkiError(f"{part}: {error}") from None


def _authority(
    key: PrivateKey,
    certificates: Sequence[x509.Certificate],
    beside: Sequence[x509.Certificate],
    now: datetime | None,
) -> Authority:
    chain = build_chain(key.public_key(), certificates, beside=beside, now=now)
    own = chain.leaf
    names = {name for certificate in chain.certificates for name in (certificate.subject, certificate.issuer)}
    if beside and not any(certificate.subject in names for certificate in beside):
        top = name_text(chain.certificates[-1].issuer)
        raise PkiError(
            f"nothing in ca.crt belongs to the CA, whose chain ends at {top}: add the certificates from there up to the"
            " root"
        )
    constraints = extension_of(own, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise PkiError(
            f"{name_text(own.subject)} is not a CA certificate: basicConstraints has no CA:TRUE; have it "
            "issued with isCA"
        )
    usage = extension_of(own, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise PkiError(
            f"{name_text(own.subject)} may not sign certificates: its key usage lacks keyCertSign: have it issued anew"
        )
    if problems := path.check_authorities(chain.certificates):
        raise PkiError("; ".join(problems))
    return Authority((own, *chain.intermediates), key, chain.root)


def sign(
    authority: Authority,
    csr: x509.CertificateSigningRequest,
    profile: Profile,
    *,
    not_before: datetime,
    not_after: datetime,
    crl_urls: Sequence[str] = (),
) -> x509.Certificate:
    """Issue a certificate for ``csr``: the names from the request, all else from ``profile``.

    ``crl_urls`` is where the CA's revocation list is (cRLDistributionPoints, RFC 5280, 4.2.1.13).

    The validity is clamped to that of the CA's chain. A CA with an empty subject is named by the first of its
    alternative names, as its certificates would have no issuer (RFC 5280, 4.1.2.6). PkiError when nothing of the
    validity is left, or when the profile asks for a CA that this one may not certify (RFC 5280, 4.2.1.9).
    """
    if profile.is_ca:
        _check_path_length(authority, profile)
    first, last = max(not_before, authority.not_before), min(not_after, authority.not_after)
    if first >= last:
        raise PkiError(f"nothing can be signed: the CA is valid from {authority.not_before} to {authority.not_after}")
    issuer = _subject(authority.certificate)
    subject = _subject_of(csr) if profile.is_ca else csr.subject
    builder = _builder(csr, subject, issuer, profile, first, last)
    builder = builder.add_extension(_authority_key_identifier(authority.certificate), critical=False)
    if crl_urls:
        urls = [x509.UniformResourceIdentifier(url) for url in crl_urls]
        builder = builder.add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint(urls, None, None, None)]), critical=False
        )
    return builder.sign(authority.key, signature_hash(authority.key))


def self_sign(
    csr: x509.CertificateSigningRequest,
    key: PrivateKey,
    profile: Profile,
    *,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """Issue a certificate for ``csr``, signed with its own key. The issuer is the subject.

    Where that is empty, it is a common name, the first of the alternative names that fits into one: an issuer has to
    have a name (RFC 5280, 4.1.2.4). PkiError if none does.
    """
    if key.public_key() != csr.public_key():
        raise PkiError("the private key is not the one of the certificate signing request")
    if not_before >= not_after:
        raise PkiError(f"nothing can be signed: the validity ends at {not_after}, before it begins at {not_before}")
    name = _subject_of(csr)
    return _builder(csr, name, name, profile, not_before, not_after).sign(key, signature_hash(key))


_LONGEST_COMMON_NAME = 64  # RFC 5280, appendix A.1, ub-common-name


def _subject_of(csr: x509.CertificateSigningRequest) -> x509.Name:
    if csr.subject.rdns:
        return csr.subject
    kinds = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)
    names = (str(alternative.value) for alternative in alternative_names(csr) if isinstance(alternative, kinds))
    name = next((text for text in names if len(text) <= _LONGEST_COMMON_NAME), None)
    if name is None:
        raise PkiError("a CA, and what signs itself, needs a subject: give commonName, in at most 64 characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _check_path_length(authority: Authority, profile: Profile) -> None:
    for depth, ca in enumerate(authority.certificates):
        constraints = extension_of(ca, x509.BasicConstraints)
        if constraints is None or constraints.path_length is None:
            continue
        # How many CA certificates may stand below the new one, as far as this CA is concerned.
        left = constraints.path_length - depth - 1
        if left < 0 or (profile.path_length or 0) > left:
            raise PkiError(
                f"{name_text(ca.subject)} has the path length {constraints.path_length}: it allows"
                f" {f'a path length of at most {left}' if left >= 0 else 'no further CA'} here"
            )


def _builder(
    csr: x509.CertificateSigningRequest,
    subject: x509.Name,
    issuer: x509.Name,
    profile: Profile,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    key = csr.public_key()
    algorithm = parameters_of(key).algorithm
    builder = (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension in extensions_of(csr):
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=not subject.rdns)
    for value, critical in profile_extensions(profile, algorithm):
        builder = builder.add_extension(value, critical)
    if not profile.is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


@lru_cache(maxsize=64)
def _subject(certificate: x509.Certificate) -> x509.Name:
    return certificate.subject


@lru_cache(maxsize=64)
def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = extension_of(issuer, x509.SubjectKeyIdentifier)
    if own is not None:
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
