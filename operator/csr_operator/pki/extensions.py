"""Reading the extensions of certificates that others made."""

from collections.abc import Iterable
from typing import TypeVar

from cryptography import x509

from csr_operator.pki.errors import PkiError, quoted

T = TypeVar("T", bound=x509.ExtensionType)


def extensions_of(holder: x509.Certificate | x509.CertificateSigningRequest) -> x509.Extensions:
    """All extensions. PkiError when one is malformed or there twice (RFC 5280, 4.2)."""
    try:
        return holder.extensions
    except x509.DuplicateExtension as error:
        raise PkiError(f"the extension {error.oid.dotted_string} is there twice") from None
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType) as error:
        raise PkiError(f"an extension is malformed: {quoted(error)}") from None


def extension_of(holder: x509.Certificate | x509.CertificateSigningRequest, kind: type[T]) -> T | None:
    """The value of the extension of this kind, if there is one."""
    return next((found.value for found in extensions_of(holder) if isinstance(found.value, kind)), None)


def alternative_names(
    holder: x509.Certificate | x509.CertificateSigningRequest,
) -> tuple[x509.GeneralName, ...]:
    """The subject alternative names, none when the extension is absent."""
    found: Iterable[x509.GeneralName] | None = extension_of(holder, x509.SubjectAlternativeName)
    return tuple(found or ())
