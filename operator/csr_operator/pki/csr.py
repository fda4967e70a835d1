"""Certificate signing requests (PKCS #10, RFC 2986)."""

import hashlib
import ipaddress
from dataclasses import dataclass, fields, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csr_operator.pki import pem
from csr_operator.pki.constraints import constraints_of
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import MAX_BYTES, alternative_names, check_size, extensions_of
from csr_operator.pki.faults import request_fault
from csr_operator.pki.general_names import dns_name
from csr_operator.pki.given_names import check_given
from csr_operator.pki.keys import PrivateKey, check_own_algorithm, parameters_of, signature_hash
from csr_operator.pki.names import Names, general_names, subject_name
from csr_operator.pki.profile import RESERVED, CustomExtension, Profile, requested_extensions
from csr_operator.pki.signatures import weak_hash
from csr_operator.pki.usages import extended_name, usage_names

_EXTENSION_REQUEST = x509.ObjectIdentifier("1.2.840.113549.1.9.14")  # RFC 2985, section 5.4.2

_MAX_PEM_BYTES = MAX_BYTES * 3 // 2


@dataclass(frozen=True, slots=True)
class CsrTemplate:
    """What a request asks for, apart from the key."""

    names: Names
    profile: Profile


def build_csr(template: CsrTemplate, key: PrivateKey) -> x509.CertificateSigningRequest:
    """Build and sign a request. PkiError names the field that cannot be asked for."""
    builder = x509.CertificateSigningRequestBuilder(subject_name(template.names))
    for extension, critical in _extensions(template, key):
        builder = builder.add_extension(extension, critical)
    try:
        return builder.sign(key, signature_hash(key))
    except (ValueError, TypeError, OverflowError):
        raise PkiError("the request cannot be encoded: a field has a value that no certificate holds") from None


def with_common_name(template: CsrTemplate) -> CsrTemplate:
    """With the common name among the DNS names as well, if it is one: many CAs take it only so (CA/B Baseline
    Requirements, 7.1.4.3). PkiError as for `build_csr`."""
    names = template.names
    there = set(map(dns_name, names.dns_names))
    added = []
    for attribute in subject_name(names).get_attributes_for_oid(NameOID.COMMON_NAME):
        text = str(attribute.value)
        try:
            if not _is_address(text) and (name := dns_name(text)) not in there:
                added.append(name)
        except PkiError:
            pass  # it is another kind of name
    return replace(template, names=replace(names, dns_names=(*names.dns_names, *added))) if added else template


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_built_from(csr: x509.CertificateSigningRequest, template: CsrTemplate, key: PrivateKey) -> bool:
    """Whether it asks for what `build_csr` would ask for, no more and no less; the key itself is not compared.

    PkiError as for `build_csr`.
    """
    extensions = _extensions(template, key)
    return (
        csr.subject.public_bytes() == subject_name(template.names).public_bytes()
        and [(e.oid, e.critical, e.value.public_bytes()) for e in extensions_of(csr)]
        == [(e.oid, critical, e.public_bytes()) for e, critical in extensions]
        and {attribute.oid for attribute in csr.attributes} <= {_EXTENSION_REQUEST}
    )


_LABELS = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")  # RFC 7468, 7


def load_csr(data: bytes) -> x509.CertificateSigningRequest:
    """Read a request from PEM (what stands around it does not count) or DER.

    Its signature, its key (`parameters_of`) and its form are checked; its names are not (`profile_with`). PkiError.
    """
    is_der = data[:1] == b"\x30"
    if len(data) > (MAX_BYTES if is_der else _MAX_PEM_BYTES):
        raise PkiError(f"the certificate signing request is larger than {MAX_BYTES} bytes")
    try:
        der = data if is_der else _from_pem(data)
        csr = _decoded(der)
        check_size(csr)
        check_own_algorithm(csr)
    except PkiError as error:
        raise PkiError(f"the certificate signing request: {error}") from None
    alternative_names(csr)
    key = _key_of(csr)
    parameters_of(key)  # before anything is computed with it: that takes as long as whoever made it likes
    try:
        weak = weak_hash(csr)
    except Exception:  # one that the library does not know
        raise PkiError(
            "the certificate signing request is signed with an unknown algorithm: sign it with SHA-256"
        ) from None
    if weak:
        raise PkiError(f"the certificate signing request is signed with {weak}: sign it with SHA-256")
    if not _is_signed(csr):
        raise PkiError("the signature of the certificate signing request is not that of the key in it")
    return csr


def _from_pem(data: bytes) -> bytes:
    sections = pem.blocks(data)
    requests = [der for label, der in sections if label in _LABELS]
    if len(requests) > 1:
        raise PkiError(f"there are {len(requests)}: paste the one that is meant")
    if requests:
        return requests[0]
    if any("PRIVATE KEY" in label for label, _ in sections):
        raise PkiError("this is a private key, which must stay secret: paste the request made with it")
    if sections:
        raise PkiError(f"none was found, only {sections[0][0]}: paste what `openssl req -new` writes")
    if pem.without_lines(data):
        raise PkiError(f"the lines -----BEGIN {_LABELS[0]}----- and -----END {_LABELS[0]}----- around it are missing")
    raise PkiError("none was found: paste what `openssl req -new` writes, from -----BEGIN on")


def _decoded(der: bytes) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_der_x509_csr(der)
        _ = csr.subject  # decoded on access
    except Exception:  # whatever the library stumbles over
        raise PkiError(request_fault(der)) from None
    return csr


def _key_of(csr: x509.CertificateSigningRequest) -> CertificatePublicKeyTypes:
    try:
        return csr.public_key()
    except Exception:  # whatever the library stumbles over: an unknown curve, mostly
        raise PkiError(
            "the key of the certificate signing request is damaged, or on a curve that is not accepted: use P-256,"
            " P-384 or P-521"
        ) from None


def _is_signed(csr: x509.CertificateSigningRequest) -> bool:
    try:
        return csr.is_signature_valid
    except Exception:  # an algorithm that does not go with the key, or is unknown
        return False


def profile_of(csr: x509.CertificateSigningRequest) -> Profile:
    """What a request that was made elsewhere asks for, besides the names.

    An extension that the profile has no field for becomes one of its custom extensions, unless the CA alone writes it.
    PkiError for what cannot be asked of a CA, such as name constraints of a kind that `Subtrees` does not have.
    """
    custom = (
        CustomExtension(extension.oid.dotted_string, extension.value.public_bytes(), extension.critical)
        for extension in extensions_of(csr)
        if extension.oid not in RESERVED
    )
    return Profile(**_asked_for(csr), extensions=tuple(custom))


def profile_with(csr: x509.CertificateSigningRequest, beside: Profile) -> Profile:
    """What is asked for by a request that was made elsewhere and by what is said beside it, which goes first.

    Extensions that the profile has no field for count only where they are asked for beside it: most CAs drop them.
    PkiError as for `profile_of`, for a name that its field would not take (`given_names`), and when the request has
    neither a common name nor an alternative one.
    """
    names = alternative_names(csr)
    check_given(csr.subject, names)
    if not csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME) and not names:
        raise PkiError("the request names nothing: give it a common name or alternative names")
    given = {f.name: value for f in fields(beside) if (value := getattr(beside, f.name)) != f.default}
    return Profile(**{**_asked_for(csr), **given})


def _extensions(template: CsrTemplate, key: PrivateKey) -> list[tuple[x509.ExtensionType, bool]]:
    """With whether each is critical."""
    names, empty = general_names(template.names), not subject_name(template.names).rdns
    if empty and not names:
        raise PkiError("the request names nothing: give commonName or one of dnsNames, ipAddresses, uris ...")
    algorithm = parameters_of(key).algorithm
    return list(requested_extensions(template.profile, names, algorithm, empty_subject=empty))


def csr_digest(pem: str) -> str:
    """What tells whether a PEM text is a certain request: 32 hex digits, the same however often that is signed.

    Empty for no text, and "-" for what is no request as we write it.
    """
    if not pem:
        return ""
    if len(pem) > _MAX_PEM_BYTES:
        return "-"
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        if csr.public_bytes(Encoding.PEM).decode() != pem:
            return "-"
        return hashlib.sha256(csr.tbs_certrequest_bytes).hexdigest()[:32]
    except Exception:  # it is others' text, and whatever the library stumbles over, it is none of ours
        return "-"


def _asked_for(csr: x509.CertificateSigningRequest) -> dict[str, Any]:
    """Fields of a Profile, without its custom extensions."""
    usages: list[str] = []
    values: dict[str, Any] = {}
    for extension in extensions_of(csr):
        match extension.value:
            case x509.KeyUsage() as usage:
                usages += sorted(usage_names(usage))
            case x509.ExtendedKeyUsage() as extended:
                usages += (extended_name(oid) for oid in extended)
            case x509.BasicConstraints() as basic:
                values |= {"is_ca": basic.ca, "path_length": basic.path_length}
            case x509.NameConstraints() as limits:
                values["name_constraints"] = constraints_of(limits, critical=extension.critical)
            case x509.TLSFeature() as features if list(features) == [x509.TLSFeatureType.status_request]:
                values["must_staple"] = True
    return {"usages": tuple(usages), **values}
