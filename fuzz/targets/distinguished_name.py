"""Distinguished names as text (RFC 4514) in `literalSubject`. May raise PkiError.

What was read is read again from what the library writes of it, and is one that can be encoded.
"""

from cryptography import x509

from csr_operator.pki.errors import PkiError
from csr_operator.pki.rfc4514 import parse
from fuzz.checks import outcome

SHAPE = "octets"


def fuzz(data: bytes) -> None:
    text = data.decode(errors="replace")
    name = outcome(lambda: parse(text), PkiError)
    if name is None:
        return
    assert name.public_bytes()
    assert _sets(parse(name.rfc4514_string())) == _sets(name)


def _sets(name: x509.Name) -> list[frozenset[tuple[str, str | bytes]]]:
    """By OID and value: how a string is encoded is not in the text."""
    return [frozenset((attribute.oid.dotted_string, attribute.value) for attribute in rdn) for rdn in name.rdns]
