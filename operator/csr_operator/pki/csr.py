"""Certificate signing requests (PKCS #10, RFC 2986)."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import PrivateKey, parameters_of, signature_hash
from csr_operator.pki.names import Names, general_names, subject_name
from csr_operator.pki.profile import Profile, requested_extensions

# One with an ML-DSA-87 key and 1,000 DNS names of full length stays below this.
_MAX_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class CsrTemplate:
    """What a request asks for, apart from the key."""

    names: Names
    profile: Profile


def build_csr(template: CsrTemplate, key: PrivateKey) -> x509.CertificateSigningRequest:
    """Build and sign a request. PkiError names the field that cannot be asked for."""
    subject = subject_name(template.names)
    names = general_names(template.names)
    empty = not subject.rdns
    if empty and not names:
        raise PkiError("the request names nothing: give commonName or one of dnsNames, ipAddresses, uris ...")
    builder = x509.CertificateSigningRequestBuilder(subject)
    algorithm = parameters_of(key).algorithm
    for extension, critical in requested_extensions(template.profile, names, algorithm, empty_subject=empty):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, signature_hash(key))


def load_csr(data: bytes) -> x509.CertificateSigningRequest:
    """Read a request from PEM or DER and check its signature, its key (see `parameters_of`) and its extensions' form."""
    if len(data) > _MAX_BYTES:
        raise PkiError(f"the certificate signing request is larger than {_MAX_BYTES} bytes")
    try:
        csr = x509.load_der_x509_csr(data) if data[:1] == b"\x30" else x509.load_pem_x509_csr(data)
        key = csr.public_key()
        csr.extensions  # noqa: B018 - parsed on access, and may be malformed or doubled
        signed = csr.is_signature_valid
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as e:
        raise PkiError(f"this is no certificate signing request in PEM or DER form: {e}") from None
    parameters_of(key)
    if not signed:
        raise PkiError(
            "the signature of the certificate signing request is wrong: it is damaged or made with another key"
        )
    return csr
