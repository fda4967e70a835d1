"""PEM (RFC 7468). May raise PkiError. What was read is read again from what is written of it."""

from csr_operator.pki.errors import PkiError
from csr_operator.pki.pem import blocks, without_lines
from fuzz.checks import outcome
from fuzz.pem_text import wrap

SHAPE = "octets"


def fuzz(data: bytes) -> None:
    without_lines(data)
    sections = outcome(lambda: blocks(data), PkiError)
    if not sections:
        return
    assert sum(len(content) for _, content in sections) <= len(data)
    if all(label.isascii() for label, _ in sections):
        assert blocks(b"".join(wrap(content, label) for label, content in sections)) == sections
