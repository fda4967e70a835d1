"""Certificates and signing requests as a person reads them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID

from csr_operator.api.times import format_time
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names, extension_of
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.pki.keys import parameters_of
from csr_operator.pki.signatures import is_self_signed
from csr_operator.pki.usages import extended_name, usage_names

from .output import facts, when

_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "email",
    x509.RegisteredID: "RID",
    x509.DirectoryName: "DN",
    x509.OtherName: "other",
}

Data = dict[str, Any]


def certificate_data(certificate: x509.Certificate) -> Data:
    """For programs. Raises PkiError for a certificate with a malformed extension."""
    basic = extension_of(certificate, x509.BasicConstraints)
    return {
        **_asked_or_given(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "selfSigned": is_self_signed(certificate),
        "notBefore": format_time(certificate.not_valid_before_utc),
        "notAfter": format_time(certificate.not_valid_after_utc),
        "serialNumber": serial_octets(certificate),
        "sha256Fingerprint": sha256_fingerprint(certificate),
        "pathLength": basic.path_length if basic is not None else None,
        "crlDistributionPoints": list(_crl_urls(certificate)),
        "ocspServers": list(_ocsp_urls(certificate)),
    }


def request_data(csr: x509.CertificateSigningRequest) -> Data:
    """For programs. Raises PkiError for a malformed extension."""
    return _asked_or_given(csr) | {"signatureValid": csr.is_signature_valid}


def certificate_words(data: Data, now: datetime, indent: str) -> str:
    """`data` as `certificate_data` makes it."""
    end = datetime.fromisoformat(data["notAfter"])
    return facts(
        (
            *_common_words(data),
            ("Issuer", "itself" if data["selfSigned"] else data["issuer"]),
            ("Valid", f"from {data['notBefore']} until {data['notAfter']} ({when(end - now)})"),
            ("Serial number", data["serialNumber"]),
            ("SHA-256", data["sha256Fingerprint"]),
            ("Revocation", ", ".join((*data["crlDistributionPoints"], *data["ocspServers"]))),
        ),
        indent,
    )


def request_words(data: Data, indent: str) -> str:
    """`data` as `request_data` makes it."""
    proof = "by the key in it" if data["signatureValid"] else "NOT by the key in it"
    return facts((*_common_words(data), ("Signed", proof)), indent)


def title(certificate: x509.Certificate) -> str:
    """One line by which a person knows it."""
    subject = certificate.subject.rfc4514_string()
    names = ", ".join(_names(certificate))
    end = format_time(certificate.not_valid_after_utc)
    return f"{', '.join(part for part in (subject, names) if part)}, valid until {end}"


def _common_words(data: Data) -> Iterator[tuple[str, str]]:
    yield "Subject", data["subject"] or "(empty)"
    yield "Names", ", ".join(data["alternativeNames"])
    yield "Key", " ".join(str(part) for part in (data["key"]["algorithm"], data["key"]["size"]) if part)
    yield "Usages", ", ".join(data["usages"])
    limit = data.get("pathLength")
    yield (
        "CA",
        ("yes" + (f", with at most {limit} CAs below it" if limit is not None else "")) if data["isCA"] else "no",
    )


def _asked_or_given(holder: x509.Certificate | x509.CertificateSigningRequest) -> Data:
    basic = extension_of(holder, x509.BasicConstraints)
    return {
        "subject": holder.subject.rfc4514_string(),
        "alternativeNames": _names(holder),
        "key": _key(holder),
        "usages": _usages(holder),
        "isCA": basic is not None and basic.ca,
    }


def _names(holder: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    return [f"{_KINDS.get(type(name), 'other')}:{_text(name)}" for name in alternative_names(holder)]


def _text(name: x509.GeneralName) -> str:
    match name:
        case x509.OtherName():
            return f"{name.type_id.dotted_string}={name.value.hex()}"
        case x509.DirectoryName():
            return name.value.rfc4514_string()
        case x509.RegisteredID():
            return name.value.dotted_string
    return str(name.value)


def _key(holder: x509.Certificate | x509.CertificateSigningRequest) -> Data:
    try:
        key: CertificatePublicKeyTypes = holder.public_key()
        parameters = parameters_of(key)
        return {"algorithm": parameters.algorithm.value, "size": parameters.size}
    except PkiError:  # a kind, or a size, that the operator does not take
        return {"algorithm": type(key).__name__.removesuffix("PublicKey"), "size": getattr(key, "key_size", None)}
    except (ValueError, UnsupportedAlgorithm):
        return {"algorithm": "unknown", "size": None}


def _usages(holder: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    usage, extended = extension_of(holder, x509.KeyUsage), extension_of(holder, x509.ExtendedKeyUsage)
    return [*(sorted(usage_names(usage)) if usage is not None else ()), *(extended_name(oid) for oid in extended or ())]


def _crl_urls(certificate: x509.Certificate) -> Iterator[str]:
    for point in extension_of(certificate, x509.CRLDistributionPoints) or ():
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier):
                yield name.value


def _ocsp_urls(certificate: x509.Certificate) -> Iterator[str]:
    for access in extension_of(certificate, x509.AuthorityInformationAccess) or ():
        name = access.access_location
        if access.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            name, x509.UniformResourceIdentifier
        ):
            yield name.value
