"""Reading the extensions of certificates that others made."""

from collections.abc import Iterable
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.asn1 import count
from csr_operator.pki.errors import PkiError
from csr_operator.pki.faults import extension_fault

MAX_NAMES = 2000
"""Alternative names of one certificate or request. The API takes some 1,500 in all fields together."""

MAX_BYTES = 512 * 1024
"""Of one certificate or request. One with an ML-DSA-87 key and 1,000 DNS names of full length stays below this."""

MAX_VALUES = 10_000
"""ASN.1 values in one certificate or request: an alternative name is one, an attribute of a subject four."""

T = TypeVar("T", bound=x509.ExtensionType)


def extensions_of(holder: x509.Certificate | x509.CertificateSigningRequest) -> x509.Extensions:
    """All extensions. PkiError when one is malformed or there twice (RFC 5280, 4.2)."""
    try:
        return holder.extensions
    except x509.DuplicateExtension as error:
        raise PkiError(f"the extension {error.oid.dotted_string} is there twice") from None
    except Exception:  # whatever the library stumbles over, such as a TLS feature that it does not know
        raise PkiError(extension_fault(holder)) from None


def extension_of(holder: x509.Certificate | x509.CertificateSigningRequest, kind: type[T]) -> T | None:
    """The value of the extension of this kind, if there is one."""
    return next((extension.value for extension in extensions_of(holder) if isinstance(extension.value, kind)), None)


def alternative_names(
    holder: x509.Certificate | x509.CertificateSigningRequest,
) -> tuple[x509.GeneralName, ...]:
    """The subject alternative names, none when the extension is absent. PkiError when there are too many."""
    extension: Iterable[x509.GeneralName] | None = extension_of(holder, x509.SubjectAlternativeName)
    names = tuple(extension or ())
    if len(names) > MAX_NAMES:
        raise PkiError(f"there are more than {MAX_NAMES} alternative names")
    return names


def check_size(holder: x509.Certificate | x509.CertificateSigningRequest) -> None:
    """PkiError for what is so large that to look into it would keep others waiting; before anybody does."""
    der = holder.public_bytes(Encoding.DER)
    if len(der) > MAX_BYTES:
        raise PkiError(f"it is larger than {MAX_BYTES} bytes")
    # Two bytes are the least that a value takes.
    if len(der) > 2 * MAX_VALUES and count(der, MAX_VALUES) > MAX_VALUES:
        raise PkiError(f"it consists of more than {MAX_VALUES} values: it has too many names, attributes or extensions")
