"""The little DER (X.690) that cryptography has no function for."""

from csr_operator.pki.errors import PkiError

INTEGER, OCTET_STRING, OBJECT_IDENTIFIER, UTF8_STRING, SEQUENCE = 0x02, 0x04, 0x06, 0x0C, 0x30


def encode(tag: int, content: bytes) -> bytes:
    """One value in definite-length form."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def utf8_string(text: str) -> bytes:
    """A UTF8String."""
    return encode(UTF8_STRING, text.encode())


def object_identifier(dotted: str) -> bytes:
    """The content of an OBJECT IDENTIFIER (X.690, 8.19), such as "1.2.840.10045.2.1"."""
    first, second, *others = map(int, dotted.split("."))
    content = bytearray()
    for number in (40 * first + second, *others):
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        content += bytes(reversed(digits))
    return bytes(content)


def decode(der: bytes) -> tuple[int, bytes]:
    """The tag and content of the one value that ``der`` consists of; PkiError if it is not exactly one."""
    tag, content, rest = split(der)
    if rest:
        raise PkiError("not exactly one DER value")
    return tag, content


def split(der: bytes) -> tuple[int, bytes, bytes]:
    """The tag and content of the first value in ``der``, and what follows it; PkiError if there is none."""
    tag, start, end = _bounds(der, 0)
    return tag, der[start:end], der[end:]


def values(der: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents of the values that stand one after the other, up to where they cannot be read.

    Takes time in proportion to the size, which `split` again and again would not.
    """
    parts, at = [], 0
    try:
        while at < len(der):
            tag, start, at = _bounds(der, at)
            parts.append((tag, der[start:at]))
    except PkiError:
        pass
    return parts


def _bounds(der: bytes, at: int) -> tuple[int, int, int]:
    """The tag of the value at ``at``, where its content begins, and where it ends; PkiError if there is none."""
    try:
        tag, first = der[at], der[at + 1]
    except IndexError:
        raise PkiError("not a DER value: it is cut short") from None
    start = at + 2 if first < 0x80 else at + 2 + (first & 0x7F)
    size = first if first < 0x80 else int.from_bytes(der[at + 2 : start], "big")
    if tag & 0x1F == 0x1F or first == 0x80 or start + size > len(der):
        raise PkiError("not exactly one DER value")
    return tag, start, start + size


def count(der: bytes, most: int) -> int:
    """How many values there are in ``der``, one inside another, counted to at most one more than ``most``.

    An OCTET STRING that holds a SEQUENCE, as an extension does, is looked into. Malformed input ends the count: whoever
    reads it refuses it.
    """
    at = number = 0
    try:
        while at < len(der) and number <= most:
            tag, first = der[at], der[at + 1]
            start = at + 2 if first < 0x80 else at + 2 + (first & 0x7F)
            size = first if first < 0x80 else int.from_bytes(der[at + 2 : start], "big")
            number += 1
            holds = tag & 0x20 or (tag == OCTET_STRING and der[start : start + 1] == b"\x30")
            at = start if holds else start + size
    except IndexError:
        pass
    return number
