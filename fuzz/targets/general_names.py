"""Alternative names as users write them. May raise PkiError.

The form into which one is brought is that of the form itself, can be encoded, and is what an issuer's policy sees.
"""

from collections.abc import Callable

from cryptography import x509

from csr_operator.api import policy
from csr_operator.pki import general_names
from csr_operator.pki.errors import PkiError
from fuzz.checks import outcome

SHAPE = "octets"

_KINDS: tuple[tuple[Callable[[str], str], Callable[[str], str], Callable[[str], x509.GeneralName]], ...] = (
    (general_names.dns_name, policy.canonical_dns_name, x509.DNSName),
    (general_names.uri, policy.canonical_uri, x509.UniformResourceIdentifier),
    (general_names.email_address, policy.canonical_email_address, x509.RFC822Name),
)


def fuzz(data: bytes) -> None:
    text = data.decode(errors="replace")
    for normalize, canonicalize, encode in _KINDS:
        normal = outcome(lambda: normalize(text), PkiError)  # noqa: B023
        if normal is not None:
            assert normalize(normal) == normal, normal
            assert normal.isascii()
            assert canonicalize(normal) == canonicalize(text)
            assert x509.SubjectAlternativeName([encode(normal)]).public_bytes()
    address = outcome(lambda: general_names.ip_address(text), PkiError)
    assert address is None or general_names.ip_address(str(address)) == address
    policy.canonical_common_name(text)
