"""PEM around what is fuzzed."""

import base64

from csr_operator.pki import pem
from csr_operator.pki.errors import PkiError


def wrap(der: bytes, label: str) -> bytes:
    """In PEM."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def unwrap(data: bytes) -> bytes:
    """DER as it is, or what is in the first block of PEM. PkiError without one."""
    if data[:1] == b"\x30":
        return data
    sections = pem.blocks(data)
    if not sections:
        raise PkiError("no PEM")
    return sections[0][1]
