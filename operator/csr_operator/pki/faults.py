"""Why something cannot be read, in words of our own: what the library says of it is for programmers."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from csr_operator.pki import asn1
from csr_operator.pki.errors import PkiError

REQUEST_AGAIN = "make it again, such as with `openssl req -new`"

_SET, _ATTRIBUTES, _EXTENSIONS, _BOOLEAN = 0x31, 0xA0, 0xA3, 0x01
_EXTENSION_REQUEST = asn1.object_identifier("1.2.840.113549.1.9.14")  # RFC 2985, 5.4.2

# The string types of RFC 5280, 4.1.2.4, and those that old certificates have, with how they are decoded.
_STRINGS = {
    0x0C: ("UTF8String", "utf-8"),
    0x12: ("NumericString", "utf-8"),
    0x13: ("PrintableString", "utf-8"),
    0x14: ("T61String", "utf-8"),
    0x16: ("IA5String", "utf-8"),
    0x1A: ("VisibleString", "utf-8"),
    0x1C: ("UniversalString", "utf-32-be"),
    0x1E: ("BMPString", "utf-16-be"),
}
_ATTRIBUTE_NAMES = {
    asn1.object_identifier(oid.dotted_string): name
    for name, oid in (
        ("CN", NameOID.COMMON_NAME),
        ("C", NameOID.COUNTRY_NAME),
        ("ST", NameOID.STATE_OR_PROVINCE_NAME),
        ("L", NameOID.LOCALITY_NAME),
        ("O", NameOID.ORGANIZATION_NAME),
        ("OU", NameOID.ORGANIZATIONAL_UNIT_NAME),
        ("STREET", NameOID.STREET_ADDRESS),
        ("serialNumber", NameOID.SERIAL_NUMBER),
        ("DC", NameOID.DOMAIN_COMPONENT),
        ("UID", NameOID.USER_ID),
        ("emailAddress", NameOID.EMAIL_ADDRESS),
    )
}
_EXTENSION_NAMES = {
    asn1.object_identifier(oid.dotted_string): name
    for name, oid in (
        ("subject alternative names", ExtensionOID.SUBJECT_ALTERNATIVE_NAME),
        ("issuer alternative names", ExtensionOID.ISSUER_ALTERNATIVE_NAME),
        ("key usage", ExtensionOID.KEY_USAGE),
        ("extended key usage", ExtensionOID.EXTENDED_KEY_USAGE),
        ("basic constraints", ExtensionOID.BASIC_CONSTRAINTS),
        ("name constraints", ExtensionOID.NAME_CONSTRAINTS),
        ("TLS feature", ExtensionOID.TLS_FEATURE),
        ("subject key identifier", ExtensionOID.SUBJECT_KEY_IDENTIFIER),
        ("authority key identifier", ExtensionOID.AUTHORITY_KEY_IDENTIFIER),
        ("certificate policies", ExtensionOID.CERTIFICATE_POLICIES),
        ("CRL distribution points", ExtensionOID.CRL_DISTRIBUTION_POINTS),
        ("authority information access", ExtensionOID.AUTHORITY_INFORMATION_ACCESS),
    )
}
_ALTERNATIVE_NAMES = asn1.object_identifier(ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string)
_TEXTS = {1: "an email address", 2: "a DNS name", 6: "a URI"}
_STRANGE = {3: "an x400Address", 5: "an ediPartyName"}


def request_fault(der: bytes) -> str:
    """What is wrong with a certificate signing request (RFC 2986, 4.1) that could not be read; never empty."""
    try:
        tag, content, rest = asn1.split(der)
    except PkiError:
        return "it is cut off, or no DER: paste the whole of it"
    parts = asn1.values(content) if tag == asn1.SEQUENCE and not rest else []
    if not parts or parts[0][0] != asn1.SEQUENCE:
        return f"it is not a certificate signing request, or damaged: {REQUEST_AGAIN}"
    info = asn1.values(parts[0][1])
    tags = [tag for tag, _ in info]
    if tags[:1] != [asn1.INTEGER] or info[0][1] != b"\0":
        return f"its version is not 0 (RFC 2986, 4.1): {REQUEST_AGAIN}"
    if len(info) > 1 and (fault := name_fault(info[1][1], "the subject")):
        return fault
    if tags[1:3] == [asn1.SEQUENCE, asn1.SEQUENCE] and _ATTRIBUTES not in tags:
        return (
            "the field with its attributes is missing ([0] in RFC 2986, 4.1, which may be empty but is never left"
            f" out): {REQUEST_AGAIN}"
        )
    return f"it is damaged: {REQUEST_AGAIN}"


def certificate_fault(der: bytes) -> str:
    """What is wrong with a certificate (RFC 5280, 4.1) that could not be read; never empty."""
    try:
        tag, content, rest = asn1.split(der)
    except PkiError:
        return "it is cut off, or no DER: take the whole of what the CA handed out"
    if tag != asn1.SEQUENCE or rest:
        return "it is not a certificate: take what the CA handed out"
    for what, name in zip(("its issuer", "its subject"), _names_in(content), strict=False):
        if fault := name_fault(name, what):
            return fault
    return "it is damaged, or not as RFC 5280, 4.1, has it: take what the CA handed out"


def name_fault(content: bytes, what: str) -> str:
    """What is wrong with the content of a distinguished name (RFC 5280, appendix A.1); empty if nothing is found."""
    for tag, rdn in asn1.values(content):
        attributes = asn1.values(rdn)
        if tag != _SET or not attributes:
            return f"{what} has a part without an attribute (an empty RDN; RFC 5280, appendix A.1): leave that out"
        pairs = [tuple(asn1.values(pair)) for _, pair in attributes]
        if len({pair[:1] for pair in pairs}) < len(pairs):
            return f"{what} has the same attribute twice in one RDN: leave one of them out"
        encoded = [asn1.encode(*attribute) for attribute in attributes]
        if encoded != sorted(encoded):
            return f"{what} has an RDN whose attributes are not in the order that DER has them in (X.690, 11.6)"
        for pair in pairs:
            if len(pair) != 2 or pair[0][0] != asn1.OBJECT_IDENTIFIER:
                return f"{what} has a part that is not an attribute (RFC 5280, appendix A.1)"
            (_, oid), (kind, value) = pair
            label = _ATTRIBUTE_NAMES.get(oid, "an attribute")
            name, encoding = _STRINGS.get(kind, ("", "utf-8"))
            if kind in _STRINGS and not _decodes(value, encoding):
                return (
                    f"{what} has a value that cannot be read ({label}, a {name}): write it as UTF8String"
                    " (RFC 5280, 4.1.2.4)"
                )
            if kind not in _STRINGS and kind != 0x03:  # a BIT STRING is an x500UniqueIdentifier
                return f"{what} has a value that is not text ({label}): write it as UTF8String (RFC 5280, 4.1.2.4)"
    return ""


def extension_fault(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """What is wrong with the extensions of something whose extensions cannot be read; never empty."""
    der = holder.tbs_certificate_bytes if isinstance(holder, x509.Certificate) else holder.tbs_certrequest_bytes
    for oid, value, extension in _extensions(der):
        if not _is_readable(extension):
            name = _EXTENSION_NAMES.get(oid, "an extension of another kind")
            why = _alternative_names_fault(value) if oid == _ALTERNATIVE_NAMES else ""
            return why or f"an extension ({name}) has a value that cannot be read: leave it out, or correct it"
    return "its attributes or extensions are damaged"


def _alternative_names_fault(der: bytes) -> str:
    """Empty if nothing is found (RFC 5280, 4.2.1.6)."""
    try:
        _, content = asn1.decode(der)
    except PkiError:
        return ""
    for tag, value in asn1.values(content):
        kind = tag & 0x1F
        if kind == 7 and len(value) not in (4, 16):
            with_mask = ": give the address without a netmask" if len(value) in (8, 32) else ""
            return (
                f"an IP address among the alternative names has {len(value)} octets, where 4 or 16 are required"
                f" (RFC 5280, 4.2.1.6){with_mask}"
            )
        if kind == 7 and len(value) in (8, 32):
            return "an IP address among the alternative names comes with a netmask: give the address alone"
        if kind in _TEXTS and not _decodes(value, "utf-8"):
            return (
                f"{_TEXTS[kind]} among the alternative names has characters other than ASCII: write it in ASCII, a host"
                " name with A-labels (xn--...; RFC 5280, 7.2)"
            )
        if kind in _STRANGE:
            return f"{_STRANGE[kind]} among the alternative names is not supported: leave it out"
        if kind == 4 and (fault := name_fault(b"".join(v for _, v in asn1.values(value)), "a directory name")):
            return fault
    return ""


def _names_in(certificate: bytes) -> Iterator[bytes]:
    """The contents of issuer and subject of the content of a certificate."""
    parts = asn1.values(certificate)
    fields = [
        part for part in (asn1.values(parts[0][1]) if parts else ()) if part[0] != _ATTRIBUTES
    ]  # [0] is the version
    yield from (value for tag, value in (fields[2:3] + fields[4:5]) if tag == asn1.SEQUENCE)


def _extensions(der: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """OID, value and DER of each extension in what is signed of a certificate or a request."""
    try:
        _, content = asn1.decode(der)
    except PkiError:
        return
    for tag, value in asn1.values(content):
        if tag == _EXTENSIONS:
            lists = asn1.values(value)
        elif tag == _ATTRIBUTES:
            lists = []
            for _, attribute in asn1.values(value):
                pair = asn1.values(attribute)
                if len(pair) == 2 and pair[0][1] == _EXTENSION_REQUEST:
                    lists += asn1.values(pair[1][1])
        else:
            continue
        for _, extensions in lists:
            for kind, extension in asn1.values(extensions):
                fields = asn1.values(extension)
                if fields:
                    yield fields[0][1], fields[-1][1], asn1.encode(kind, extension)


def _decodes(value: bytes, encoding: str) -> bool:
    try:
        value.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


_ED25519 = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OBJECT_IDENTIFIER, asn1.object_identifier("1.3.101.112")))
_NO_NAME = asn1.encode(asn1.SEQUENCE, b"")
_VALIDITY = asn1.encode(asn1.SEQUENCE, 2 * asn1.encode(0x17, b"700101000000Z"))
_KEY = asn1.encode(asn1.SEQUENCE, _ED25519 + asn1.encode(0x03, bytes(33)))


def _is_readable(extension: bytes) -> bool:
    """The library reads a certificate that has this extension and no other."""
    fields = (
        asn1.encode(_ATTRIBUTES, asn1.encode(asn1.INTEGER, b"\2")),
        asn1.encode(asn1.INTEGER, b"\1"),
        *(_ED25519, _NO_NAME, _VALIDITY, _NO_NAME, _KEY),
        asn1.encode(_EXTENSIONS, asn1.encode(asn1.SEQUENCE, extension)),
    )
    signed = asn1.encode(asn1.SEQUENCE, b"".join(fields))
    try:
        certificate = asn1.encode(asn1.SEQUENCE, signed + _ED25519 + asn1.encode(0x03, b"\0"))
        _ = x509.load_der_x509_certificate(certificate).extensions
    except Exception:  # whatever the library stumbles over
        return False
    return True
