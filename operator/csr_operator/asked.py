"""What a request asks for, read from its spec or from the user's own CSR, as a policy looks at it."""

from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from .model import CertificateRequest, RequestSpec
from .pki.csr import load_csr
from .pki.errors import PkiError
from .pki.keys import parameters_of
from .pki.names import subject_name
from .policy import Asked


def asked(request: CertificateRequest) -> Asked:
    return _asked(request.spec)


@lru_cache(maxsize=256)
def _asked(spec: RequestSpec) -> Asked:
    names, profile = spec.template.names, spec.template.profile
    common_names: tuple[str, ...] = (names.common_name,) if names.common_name else ()
    key = spec.private_key.parameters
    dns_names, ip_addresses = names.dns_names, names.ip_addresses
    uris, email_addresses, other_names = names.uris, names.email_addresses, len(names.other_names)
    try:
        if spec.csr_pem:
            csr = load_csr(spec.csr_pem.encode())
            common_names, key = _common_names(csr.subject), parameters_of(csr.public_key())
            general = _general_names(csr)
            dns_names = tuple(n.value for n in general if isinstance(n, x509.DNSName))
            ip_addresses = tuple(str(n.value) for n in general if isinstance(n, x509.IPAddress))
            uris = tuple(n.value for n in general if isinstance(n, x509.UniformResourceIdentifier))
            email_addresses = tuple(n.value for n in general if isinstance(n, x509.RFC822Name))
            other_names = len(general) - len(dns_names) - len(ip_addresses) - len(uris) - len(email_addresses)
        elif names.literal_subject:
            common_names = _common_names(subject_name(names))
    except PkiError:
        pass  # it is refused, with these words, when the CSR is built
    return Asked(
        common_names=common_names,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        uris=uris,
        email_addresses=email_addresses,
        other_names=other_names,
        key=key,
        duration=spec.duration,
        is_ca=profile.is_ca,
        usages=profile.usages,
    )


def _common_names(name: x509.Name) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def _general_names(csr: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        extension = csr.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    return list(extension.value)
