"""Distinguished names as text (RFC 4514), and the limits of their attributes (RFC 5280, appendix A)."""

import re
from typing import NoReturn

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki import asn1
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.general_names import email_address

_TYPES = {
    "CN": NameOID.COMMON_NAME,
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "POSTALCODE": NameOID.POSTAL_CODE,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "DC": NameOID.DOMAIN_COMPONENT,
    "UID": NameOID.USER_ID,
    "E": NameOID.EMAIL_ADDRESS,
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "SN": NameOID.SURNAME,
    "GN": NameOID.GIVEN_NAME,
    "GIVENNAME": NameOID.GIVEN_NAME,
    "INITIALS": NameOID.INITIALS,
    "TITLE": NameOID.TITLE,
    "DNQUALIFIER": NameOID.DN_QUALIFIER,
    "PSEUDONYM": NameOID.PSEUDONYM,
}
# Upper bounds in characters: RFC 5280, appendix A.1 (ub-*), and X.520 for postalCode and street.
_LIMITS = {
    NameOID.COMMON_NAME: 64,
    NameOID.STATE_OR_PROVINCE_NAME: 128,
    NameOID.LOCALITY_NAME: 128,
    NameOID.ORGANIZATION_NAME: 64,
    NameOID.ORGANIZATIONAL_UNIT_NAME: 64,
    NameOID.STREET_ADDRESS: 128,
    NameOID.POSTAL_CODE: 40,
    NameOID.SERIAL_NUMBER: 64,
    NameOID.TITLE: 64,
    NameOID.SURNAME: 32768,
    NameOID.GIVEN_NAME: 32768,
    NameOID.INITIALS: 32768,
    NameOID.PSEUDONYM: 128,
    NameOID.EMAIL_ADDRESS: 255,
    NameOID.USER_ID: 256,
}
_PRINTABLE = {NameOID.COUNTRY_NAME, NameOID.SERIAL_NUMBER, NameOID.DN_QUALIFIER}
_PRINTABLE_STRING = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")
_MAX_LENGTH = 8192

_TYPE = re.compile(r" *([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+) *= *")
_VALUE = re.compile(r'(?:\\.|[^\\,+";<>])*', re.DOTALL)
_ESCAPE = re.compile(r'((?:\\[0-9A-Fa-f]{2})+)|\\([ "#+,;<=>\\])|(\\)')
# The DER tags of UTF8String, PrintableString and IA5String.
_STRING_TAGS = {0x0C, 0x13, 0x16}


def attribute(oid: x509.ObjectIdentifier, value: str, field: str) -> x509.NameAttribute[str]:
    """One attribute of a name, within the limits of RFC 5280; ``field`` is what an error names."""
    if not value.strip():
        raise PkiError(f"{field}: an attribute of a distinguished name cannot be empty")
    if not value.isprintable():
        raise PkiError(f"{field}: {quoted(value)} has control characters")
    if oid == NameOID.COUNTRY_NAME and not re.fullmatch("[A-Za-z]{2}", value):
        raise PkiError(f"{field}: {quoted(value)} is not a country code of two letters (ISO 3166-1)")
    if oid == NameOID.COUNTRY_NAME:
        value = value.upper()
    if oid in _PRINTABLE and not _PRINTABLE_STRING.fullmatch(value):
        raise PkiError(f"{field}: {quoted(value)} has characters other than letters, digits, spaces and '()+,-./:=?")
    if oid == NameOID.EMAIL_ADDRESS:
        value = email_address(value, field)
    if oid == NameOID.DOMAIN_COMPONENT and not value.isascii():
        raise PkiError(f"{field}: {quoted(value)} is not ASCII: write the domain component as an A-label")
    if len(value) > (limit := _LIMITS.get(oid, 32768)):
        raise PkiError(f"{field}: {quoted(value)} is longer than {limit} characters (RFC 5280, appendix A)")
    try:
        return x509.NameAttribute(oid, value)
    except ValueError:
        # cryptography counts the commonName's 64 characters in octets of UTF-8.
        raise PkiError(f"{field}: {quoted(value)} is longer than 64 octets") from None


def parse(text: str, field: str = "literalSubject") -> x509.Name:
    """Read a name as RFC 4514 writes it: the most specific RDN first, the reverse of the encoded order.

    Attribute types are names (case ignored) or dotted OIDs; values are text with ``\\`` escapes or ``#`` and
    the hex of a DER string. White space around a comma or plus sign is skipped, as RFC 2253 had it.
    """

    def refuse(why: str) -> NoReturn:
        raise PkiError(f"{field}: {quoted(text)} {why}")

    if len(text) > _MAX_LENGTH:
        refuse(f"is longer than {_MAX_LENGTH} characters")
    rdns: list[list[x509.NameAttribute[str]]] = []
    position, separator = 0, ","
    while True:
        match = _TYPE.match(text, position)
        if match is None:
            refuse(f"is not a distinguished name (RFC 4514): type=value is required at character {position + 1}")
        name, start = match[1], match.end()
        rest = _VALUE.match(text, start)
        assert rest is not None
        position = rest.end()
        if position < len(text) and (mark := text[position]) not in ",+":
            refuse(f'has an unescaped {mark} at character {position + 1}: write "\\{mark}"')
        oid = _TYPES.get(name.upper())
        if oid is None:
            try:
                oid = x509.ObjectIdentifier(name)
            except ValueError:
                refuse(f"has the unknown attribute type {quoted(name)}: use its dotted OID")
        try:
            value = _unescape(_trim(rest[0]))
        except ValueError:
            wanted = ": after # comes a text as DER (UTF8String, PrintableString, IA5String) in hexadecimal"
            refuse(f"has a value that cannot be read at character {start + 1}{wanted if '#' in rest[0][:1] else ''}")
        pair = attribute(oid, value, field)
        if separator == "+":
            if pair in rdns[-1]:
                refuse("has the same attribute twice in one RDN")
            rdns[-1].append(pair)
        else:
            rdns.append([pair])
        if position == len(text):
            return x509.Name([x509.RelativeDistinguishedName(rdn) for rdn in reversed(rdns)])
        separator = text[position]
        position += 1


def _trim(raw: str) -> str:
    """Without the spaces at the end, unless the first of them is escaped."""
    bare = raw.rstrip(" ")
    escapes = len(bare) - len(bare.rstrip("\\"))
    return bare + " " if escapes % 2 and len(bare) < len(raw) else bare


def _unescape(raw: str) -> str:
    if raw.startswith("#"):
        tag, content = asn1.decode(bytes.fromhex(raw[1:]))
        if tag not in _STRING_TAGS:
            raise ValueError("not a string")
        return content.decode()

    def replace(match: re.Match[str]) -> str:
        if match[3]:
            raise ValueError("a backslash that escapes nothing")
        return match[2] or bytes.fromhex(match[1].replace("\\", "")).decode()

    return _ESCAPE.sub(replace, raw)
