"""Texts in PEM (RFC 7468), as people and CAs hand them over."""

import base64
import binascii

from csr_operator.pki.errors import PkiError, quoted

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_LONGEST_LABEL = 64
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"-\x00-\x00", b"\x00-\x00-")


def blocks(data: bytes) -> list[tuple[str, bytes]]:
    """The label and the content of each block, in order. What stands before, between and after them does not count.

    Empty if there is none. PkiError for a block without an end, or whose content is not base64, and for a text in
    UTF-16. Takes time in proportion to the size.
    """
    if data.startswith(_UTF_16):
        raise PkiError("the text is in UTF-16: save it as UTF-8 or ASCII")
    sections: list[tuple[str, bytes]] = []
    at = data.find(_BEGIN)
    while at >= 0:
        start = at + len(_BEGIN)
        label, dashes, _ = data[start : start + _LONGEST_LABEL + len(_DASHES)].partition(_DASHES)
        if not label or not dashes or b"\n" in label:
            at = data.find(_BEGIN, start)
            continue
        start += len(label) + len(_DASHES)
        end = data.find(_END + label + _DASHES, start)
        shown = quoted(label.decode(errors="replace"))[1:-1]
        if end < 0:
            raise PkiError(f"a line -----END {shown}----- is missing: it is cut off")
        sections.append((shown, _content(data[start:end], shown)))
        at = data.find(_BEGIN, end)
    return sections


def _content(text: bytes, label: str) -> bytes:
    if b":" in text:  # headers, which end in an empty line (RFC 1421, 4.4)
        text = text.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise PkiError(f"what stands between BEGIN {label} and END {label} is damaged: it is not base64") from None


def without_lines(data: bytes) -> bool:
    """It is DER in base64 to which the BEGIN and END lines are missing."""
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)[:1] == b"\x30"
    except binascii.Error:
        return False
