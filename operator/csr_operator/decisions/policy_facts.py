"""What a request asks for, read from its spec or from the CSR that a CA is sent, as a policy looks at it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from csr_operator.api.policy import (
    Policy,
    canonical_attribute,
    canonical_common_name,
    canonical_dns_name,
    canonical_email_address,
    canonical_uri,
)
from csr_operator.api.request import CertificateRequest, RequestSpec
from csr_operator.pki import general_names
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import extensions_of
from csr_operator.pki.keys import parameters_of
from csr_operator.pki.names import subject_name
from csr_operator.pki.usages import DEFAULT_USAGES, extended_name, normalized_usages, usage_names

from .policy import RequestFacts, violations

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


def facts_of(request: CertificateRequest) -> RequestFacts:
    """What `facts_of_csr` says of the CSR that is made for it; `key` is None where that is in a Secret not read yet."""
    return _facts_of_spec(request.spec)


def facts_of_csr(csr: x509.CertificateSigningRequest, request: CertificateRequest) -> RequestFacts:
    """What a CA may give that is sent `csr` for `request`: names and key of the CSR, all else of either.

    Raises PkiError if the CSR cannot be read.
    """
    return _facts_of_csr(csr, request.spec)


def consider(request: CertificateRequest, policies: Iterable[Policy | None], labels: Mapping[str, str]) -> None:
    """Work out what `decide` is going to ask of these policies, to which it then has the answers at hand."""
    facts = facts_of(request)
    for policy in policies:
        violations(policy, facts, request.namespace, labels)


@lru_cache(maxsize=256)
def _facts_of_spec(spec: RequestSpec) -> RequestFacts:
    names, profile = spec.template.names, spec.template.profile
    subject = None
    try:
        if spec.csr_pem:
            return _facts_of_csr(load_csr(spec.csr_pem.encode()), spec)
        subject = subject_name(names)
    except PkiError:
        pass  # it is refused, with these words, when the CSR is built
    malformed: list[tuple[str, str]] = []
    mails = (*names.email_addresses, names.subject.email_address)
    return RequestFacts(
        common_names=_common_names(subject) if subject is not None else tuple(filter(None, (names.common_name,))),
        dns_names=_canonical("dnsNames", names.dns_names, canonical_dns_name, malformed),
        ip_addresses=_canonical("ipAddresses", names.ip_addresses, _canonical_address, malformed),
        uris=_canonical("uris", names.uris, canonical_uri, malformed),
        email_addresses=_canonical(
            "emailAddresses", (*filter(None, mails), *_mails(subject)), canonical_email_address, malformed
        ),
        other_names=len(set(names.other_names)),
        attributes=_attributes(subject),
        malformed=tuple(malformed),
        key=spec.private_key.parameters.normalized() if spec.private_key.secret_ref is None else None,
        duration=spec.duration,
        is_ca=profile.is_ca,
        usages=_usages(normalized_usages(profile.usages or DEFAULT_USAGES), is_ca=profile.is_ca),
        extensions=frozenset(extension.oid for extension in profile.extensions),
    )


def _facts_of_csr(csr: x509.CertificateSigningRequest, spec: RequestSpec) -> RequestFacts:
    # Another CA than ours may give what the CSR asks for, whatever the spec says.
    profile, malformed = spec.template.profile, list[tuple[str, str]]()
    extensions, subject = extensions_of(csr), csr.subject  # read once: each look at them costs
    values = {extension.oid: extension.value for extension in extensions}
    names = tuple(values.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME) or ())
    dns_names = [n.value for n in names if isinstance(n, x509.DNSName)]
    ip_addresses = [str(n.value) for n in names if isinstance(n, x509.IPAddress)]
    uris = [n.value for n in names if isinstance(n, x509.UniformResourceIdentifier)]
    mails = [n.value for n in names if isinstance(n, x509.RFC822Name)]
    basic, key_usage = values.get(ExtensionOID.BASIC_CONSTRAINTS), values.get(ExtensionOID.KEY_USAGE)
    usages = normalized_usages(profile.usages or DEFAULT_USAGES)
    usages |= usage_names(key_usage) if key_usage is not None else frozenset()
    usages |= {extended_name(oid) for oid in values.get(ExtensionOID.EXTENDED_KEY_USAGE) or ()}
    is_ca = profile.is_ca or (basic is not None and basic.ca)
    custom = {extension.oid.dotted_string for extension in extensions if extension.oid not in _NOT_CUSTOM}
    return RequestFacts(
        common_names=_common_names(subject),
        dns_names=_canonical("dnsNames", dns_names, canonical_dns_name, malformed),
        ip_addresses=_canonical("ipAddresses", ip_addresses, _canonical_address, malformed),
        uris=_canonical("uris", uris, canonical_uri, malformed),
        email_addresses=_canonical("emailAddresses", (*mails, *_mails(subject)), canonical_email_address, malformed),
        other_names=len(names) - sum(map(len, (dns_names, ip_addresses, uris, mails))),
        attributes=_attributes(subject),
        malformed=tuple(malformed),
        key=parameters_of(csr.public_key()),
        duration=spec.duration,
        is_ca=is_ca,
        usages=_usages(usages, is_ca=is_ca),
        extensions=frozenset(custom.union(extension.oid for extension in profile.extensions)),
    )


def _canonical(
    kind: str, names: Iterable[str], canonical: Callable[[str], str], malformed: list[tuple[str, str]]
) -> tuple[str, ...]:
    """In the form that a certificate has them in; what no certificate has is added to `malformed`."""
    forms: dict[str, None] = {}
    for name in names:
        try:
            forms[canonical(name)] = None
        except PkiError as error:
            malformed.append((kind, str(error)))
    return tuple(forms)


def _canonical_address(text: str) -> str:
    return str(general_names.ip_address(text))


def _usages(usages: frozenset[str], *, is_ca: bool) -> frozenset[str]:
    # What makes a CA goes by isCA.
    return usages - _CA_USAGES if is_ca else usages


def _common_names(subject: x509.Name) -> tuple[str, ...]:
    return tuple(
        sorted({canonical_common_name(value) for oid, value in _values(subject) if oid == NameOID.COMMON_NAME})
    )


def _mails(subject: x509.Name | None) -> list[str]:
    return [value for oid, value in _values(subject) if oid == NameOID.EMAIL_ADDRESS]


def _attributes(subject: x509.Name | None) -> tuple[tuple[str, str], ...]:
    elsewhere = {NameOID.COMMON_NAME, NameOID.EMAIL_ADDRESS}
    return tuple(
        sorted(
            {
                (oid.dotted_string, canonical_attribute(oid, value))
                for oid, value in _values(subject)
                if oid not in elsewhere
            }
        )
    )


def _values(subject: x509.Name | None) -> Iterator[tuple[x509.ObjectIdentifier, str]]:
    """Those of a multi-valued RDN are in the order of their DER, whatever was written: who compares has to sort."""
    for attribute in subject or ():
        value = attribute.value
        yield attribute.oid, value if isinstance(value, str) else f"#{value.hex()}"
