"""The CA behind a contract server: a root, an intermediate, and leaves as a public CA writes them."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_TLS_USAGE = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class VendorCa:
    root: x509.Certificate
    intermediate: x509.Certificate
    key: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def make(cls, name: str) -> Self:
        root_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
        root_name, name_below = _name(f"{name} Root"), _name(f"{name} Issuing CA")
        begins, ends = datetime(2020, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
        root = _authority(root_name, root_name, root_key, root_key, begins, ends)
        return cls(root, _authority(root_name, name_below, root_key, key, begins, ends), key)

    @classmethod
    def load(cls, pem: str) -> Self:
        """From what `pem` gave."""
        key = load_pem_private_key(pem.encode(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        intermediate, root = x509.load_pem_x509_certificates(pem.encode())
        return cls(root, intermediate, key)

    def pem(self) -> str:
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return pem(self.intermediate) + pem(self.root) + key

    def sign(
        self,
        public_key: CertificatePublicKeyTypes,
        subject: x509.Name,
        names: Sequence[x509.GeneralName],
        not_before: datetime,
        not_after: datetime,
        usages: Sequence[x509.ObjectIdentifier] = _TLS_USAGE,
    ) -> x509.Certificate:
        """A leaf for TLS, with just this subject and these names."""
        builder = _builder(self.intermediate.subject, subject, public_key, not_before, not_after)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not list(subject))
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, SHA256())
        )


def loopback_certificate() -> tuple[str, str]:
    """For HTTPS on 127.0.0.1: a certificate (PEM) that is its own CA, and its key."""
    key = generate_private_key(SECP256R1())
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    name = _name("contract server")
    certificate = (
        _builder(name, name, key.public_key(), now - timedelta(days=400), now + timedelta(days=400))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    return pem(certificate), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _authority(
    issuer: x509.Name,
    subject: x509.Name,
    signer: EllipticCurvePrivateKey,
    key: EllipticCurvePrivateKey,
    begins: datetime,
    ends: datetime,
) -> x509.Certificate:
    builder = _builder(issuer, subject, key.public_key(), begins, ends)
    if signer is not key:
        aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(aki, critical=False)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .sign(signer, SHA256())
    )


def _builder(
    issuer: x509.Name, subject: x509.Name, key: CertificatePublicKeyTypes, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not is_ca, False, not is_ca, False, False, is_ca, is_ca, False, False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
