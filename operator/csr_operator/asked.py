"""What a request asks for, read from its spec or from the user's own CSR, as a policy looks at it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from .model import CertificateRequest, RequestSpec
from .pki.csr import load_csr
from .pki.errors import PkiError
from .pki.extensions import alternative_names, extension_of, extensions_of
from .pki.keys import parameters_of
from .pki.names import subject_name
from .pki.usages import DEFAULT_USAGES, extended_name, normalized_usages, usage_names
from .policy import Asked, Policy, violations

_CA_USAGES = frozenset({"cert sign", "crl sign"})
_NOT_CUSTOM = {
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.TLS_FEATURE,
}
"""What a CSR may hold without asking for an extension of the user's own."""


def asked(request: CertificateRequest) -> Asked:
    """`key` is None where it is in a Secret that has to be read first."""
    return _asked(request.spec)


def consider(request: CertificateRequest, policies: Iterable[Policy], labels: Mapping[str, str]) -> None:
    """Work out what `decide` is going to ask of these policies, to which it then has the answers at hand."""
    what = asked(request)
    for policy in policies:
        violations(policy, what, request.namespace, labels)


@lru_cache(maxsize=256)
def _asked(spec: RequestSpec) -> Asked:
    names, profile = spec.template.names, spec.template.profile
    found = Asked(
        common_names=(names.common_name,) if names.common_name else (),
        dns_names=names.dns_names,
        ip_addresses=names.ip_addresses,
        uris=names.uris,
        email_addresses=names.email_addresses,
        other_names=len(names.other_names),
        key=spec.private_key.parameters if spec.private_key.secret_ref is None else None,
        duration=spec.duration,
        is_ca=profile.is_ca,
        usages=normalized_usages(profile.usages),
        extensions=frozenset(extension.oid for extension in profile.extensions),
    )
    try:
        if spec.csr_pem:
            found = _with_csr(found, load_csr(spec.csr_pem.encode()))
        else:
            found = _with_subject(found, subject_name(names))
    except PkiError:
        pass  # it is refused, with these words, when the CSR is built
    usages = found.usages or normalized_usages(DEFAULT_USAGES)
    # What makes a CA goes by isCA.
    return replace(found, usages=usages - _CA_USAGES if found.is_ca else usages)


def _with_csr(asked: Asked, csr: x509.CertificateSigningRequest) -> Asked:
    """Another CA than ours may give what the CSR asks for, whatever the spec says."""
    names = alternative_names(csr)
    dns_names = tuple(n.value for n in names if isinstance(n, x509.DNSName))
    ip_addresses = tuple(str(n.value) for n in names if isinstance(n, x509.IPAddress))
    uris = tuple(n.value for n in names if isinstance(n, x509.UniformResourceIdentifier))
    email_addresses = tuple(n.value for n in names if isinstance(n, x509.RFC822Name))
    basic, key_usage = extension_of(csr, x509.BasicConstraints), extension_of(csr, x509.KeyUsage)
    extended = extension_of(csr, x509.ExtendedKeyUsage)
    usages = usage_names(key_usage) if key_usage is not None else frozenset()
    custom = {extension.oid.dotted_string for extension in extensions_of(csr) if extension.oid not in _NOT_CUSTOM}
    asked = replace(
        asked,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        uris=uris,
        email_addresses=email_addresses,
        other_names=len(names) - sum(map(len, (dns_names, ip_addresses, uris, email_addresses))),
        key=parameters_of(csr.public_key()),
        is_ca=asked.is_ca or (basic is not None and basic.ca),
        usages=asked.usages | usages | {extended_name(oid) for oid in extended or ()},
        extensions=asked.extensions | custom,
    )
    return _with_subject(asked, csr.subject)


def _with_subject(asked: Asked, subject: x509.Name) -> Asked:
    def values(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(attribute.value) for attribute in subject.get_attributes_for_oid(oid))

    return replace(
        asked,
        common_names=values(NameOID.COMMON_NAME),
        email_addresses=asked.email_addresses + values(NameOID.EMAIL_ADDRESS),
    )
