"""What stands in a CSR of the user's own passes the checks that the fields of a spec pass, with the same words."""

from pathlib import Path

import pytest
from cryptography import x509

from csr_operator.pki import asn1
from csr_operator.pki.csr import load_csr, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.names import Names, OtherName, Subject, general_names, subject_name
from csr_operator.pki.profile import Profile
from tests.pki.crafted import (
    BMP,
    CN,
    DNS,
    EMAIL,
    IA5,
    IP,
    MAIL,
    OTHER,
    PRINTABLE,
    SERIAL,
    T61,
    URI,
    UTF8,
    WWW,
    C,
    O,
    alternative_names,
    crafted,
    oid,
    rdn,
    sequence,
)

# The library reads an attribute of a forbidden length with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

GIVEN = Path(__file__).parents[1] / "cases" / "requests"


def asked(data: bytes) -> Profile:
    return profile_with(load_csr(data), Profile())


def refusal(data: bytes) -> str:
    with pytest.raises(PkiError) as caught:
        asked(data)
    assert str(caught.value).isprintable()
    return str(caught.value)


LONG = "x" * 65
DNS_NAMES = (
    "",
    "_dmarc.example.com",
    "my_svc.example.com",
    "example.com.",
    "192.0.2.7",
    "2001:db8::7",
    "*",
    "*.",
    "w*.example.com",
    "www.*.example.com",
    "*.*.example.com",
    "www.example.com\0.evil.example",
    "www.example.com\n",
    " www.example.com",
    "www..example.com",
    ".example.com",
    "-www.example.com",
    "https://www.example.com",
    "www.example.com:443",
    "example.123",
    "xn--a.example",
    "a" * 64 + ".example.com",
    ".".join(["a" * 50] * 5) + ".com",
)


@pytest.mark.parametrize("name", DNS_NAMES)
def test_a_dns_name_is_refused_in_the_words_for_dns_names(name: str) -> None:
    with pytest.raises(PkiError) as by_field:
        general_names(Names(dns_names=(name,)))
    assert refusal(crafted(alternative_names((DNS, name.encode())))) == str(by_field.value)


@pytest.mark.parametrize(
    ("tag", "value", "names"),
    [
        (MAIL, "nobody", Names(email_addresses=("nobody",))),
        (MAIL, "a b@example.com", Names(email_addresses=("a b@example.com",))),
        (MAIL, "root@my_host.example", Names(email_addresses=("root@my_host.example",))),
        (MAIL, "root@example.com.", Names(email_addresses=("root@example.com.",))),
        (MAIL, "jürgen@example.com", Names(email_addresses=("jürgen@example.com",))),
        (URI, "www.example.com", Names(uris=("www.example.com",))),
        (URI, "https://", Names(uris=("https://",))),
        (URI, "https://a b/", Names(uris=("https://a b/",))),
        (URI, "https://www.example.com:http/", Names(uris=("https://www.example.com:http/",))),
        (URI, "https://*.example.com/", Names(uris=("https://*.example.com/",))),
    ],
)
def test_other_names_are_refused_in_the_words_for_their_fields(tag: int, value: str, names: Names) -> None:
    with pytest.raises(PkiError) as by_field:
        general_names(names)
    assert refusal(crafted(alternative_names((tag, value.encode())))) == str(by_field.value)


@pytest.mark.parametrize(
    ("tag", "value", "wanted"),
    [
        (DNS, "bücher.example.com", 'dnsNames: "bücher.example.com" is not in ASCII, as it has to be: write it as "xn'),
        (MAIL, "root@bücher.example", 'it as "root@xn--bcher-kva.example"'),
        (URI, "https://bücher.example/ü", 'write it as "https://xn--bcher-kva.example/%C3%BC"'),
    ],
)
def test_what_a_field_would_spell_in_another_way_is_refused_with_that_spelling(
    tag: int, value: str, wanted: str
) -> None:
    assert wanted in refusal(crafted(alternative_names((tag, value.encode()))))


@pytest.mark.parametrize(
    ("kind", "tag", "value", "names"),
    [
        (CN, UTF8, "", Subject()),
        (CN, UTF8, LONG, Subject()),
        (CN, UTF8, "www\0.evil", Subject()),
        (C, PRINTABLE, "", Subject(countries=("",))),
        (C, PRINTABLE, "USA", Subject(countries=("USA",))),
        (C, PRINTABLE, "U1", Subject(countries=("U1",))),
        (O, UTF8, "", Subject(organizations=("",))),
        (O, UTF8, LONG, Subject(organizations=(LONG,))),
        ("2.5.4.11", UTF8, LONG, Subject(organizational_units=(LONG,))),
        ("2.5.4.7", UTF8, "x" * 129, Subject(localities=("x" * 129,))),
        ("2.5.4.8", UTF8, "x" * 129, Subject(provinces=("x" * 129,))),
        ("2.5.4.9", UTF8, "x" * 129, Subject(street_addresses=("x" * 129,))),
        ("2.5.4.17", UTF8, "x" * 41, Subject(postal_codes=("x" * 41,))),
        (SERIAL, UTF8, "nürnberg", Subject(serial_number="nürnberg")),
        (SERIAL, PRINTABLE, LONG, Subject(serial_number=LONG)),
        (EMAIL, IA5, "nobody", Subject(email_address="nobody")),
        (EMAIL, IA5, "root@my_host.example", Subject(email_address="root@my_host.example")),
    ],
)
def test_an_attribute_of_the_subject_is_refused_in_the_words_for_its_field(
    kind: str, tag: int, value: str, names: Subject
) -> None:
    said = refusal(crafted(WWW, subject=sequence(rdn((kind, tag, value.encode())))))
    if names == Subject():
        assert said.startswith("commonName: ")
        if value:
            with pytest.raises(PkiError, match="commonName: ") as by_field:
                subject_name(Names(common_name=value))
            assert said == str(by_field.value)
    else:
        with pytest.raises(PkiError) as by_field:
            subject_name(Names(subject=names))
        assert said == str(by_field.value)


def test_an_attribute_without_a_field_is_named_by_its_oid() -> None:
    said = refusal(crafted(WWW, subject=sequence(rdn(("2.5.4.12", UTF8, LONG.encode())))))
    assert said.startswith('subject, 2.5.4.12: "xxx')
    assert said.endswith("is longer than 64 characters (RFC 5280, appendix A)")


def test_an_address_with_a_netmask_is_refused_whatever_its_bits() -> None:
    for mask in (bytes([192, 0, 2, 0, 255, 255, 255, 0]), bytes([192, 0, 2, 7, 255, 255, 255, 0])):
        assert "address" in refusal(crafted(alternative_names((IP, mask))))
    assert "has 5 octets, where 4 or 16 are required" in refusal(crafted(alternative_names((IP, b"12345"))))
    assert "has 0 octets" in refusal(crafted(alternative_names((IP, b""))))


def test_an_other_name_holds_a_value_that_can_be_read() -> None:
    def other(value: bytes) -> bytes:
        return crafted(alternative_names((OTHER, oid("1.3.6.1.4.1.311.20.2.3") + asn1.encode(0xA0, value))))

    assert asked(other(asn1.utf8_string("web@corp.example.com"))) == Profile()
    assert asked(other(sequence(asn1.utf8_string("EXAMPLE.COM")))) == Profile()  # as a Kerberos principal is
    assert "is empty" in refusal(other(asn1.utf8_string("")))
    assert "is not printable text" in refusal(other(asn1.encode(UTF8, b"\xff")))
    with pytest.raises(PkiError, match=r"otherNames: the value for .* is empty"):
        general_names(Names(other_names=(OtherName("1.3.6.1.4.1.311.20.2.3", ""),)))


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (rdn(), "the subject has a part without an attribute"),
        (rdn((O, T61, "Müller".encode("latin-1"))), "cannot be read (O, a T61String): write it as UTF8String"),
        (rdn((CN, UTF8, b"\xff\xfe")), "cannot be read (CN, a UTF8String)"),
        (rdn((O, BMP, b"\xd8\x00")), "cannot be read (O, a BMPString)"),
        (rdn((O, 0x02, b"\1")), "the subject has a value that is not text (O)"),
        (rdn((O, 0x30, b"")), "the subject has a value that is not text (O)"),
        (rdn((O, UTF8, b"a"), (O, UTF8, b"a")), "the subject has the same attribute twice in one RDN"),
        (asn1.encode(0x31, sequence(oid(O))), "the subject has a part that is not an attribute"),
        (
            asn1.encode(0x31, sequence(oid(O), asn1.utf8_string("yy")) + sequence(oid(CN), asn1.utf8_string("x"))),
            "the subject has an RDN whose attributes are not in the order that DER has them in",
        ),
    ],
)
def test_a_subject_that_cannot_be_read_is_refused_with_the_place(subject: bytes, words: str) -> None:
    assert words in refusal(crafted(WWW, subject=sequence(subject)))


def test_the_string_types_of_old_tools_are_read() -> None:
    names = rdn((O, T61, b"Example")), rdn((CN, BMP, "Müller".encode("utf-16-be")))
    csr = load_csr(crafted(WWW, subject=sequence(*names)))
    assert [one.value for one in csr.subject] == ["Example", "Müller"]
    assert profile_with(csr, Profile()) == Profile()


def test_names_that_the_fields_take_are_taken() -> None:
    names = (
        (DNS, b"WWW.Example.com"),
        (DNS, b"*.example.com"),
        (DNS, b"xn--bcher-kva.example"),
        (DNS, b"localhost"),
        (MAIL, b"First.Last+tag@Example.com"),
        (URI, b"spiffe://my_domain/web"),
        (IP, bytes(4)),
        (IP, bytes(16)),
        (0x88, asn1.object_identifier("1.2.3.4")),
        (0xA4, sequence(rdn((O, UTF8, b"Example")))),
    )
    csr = load_csr(crafted(alternative_names(*names), subject=sequence(rdn((C, PRINTABLE, b"de"), (O, UTF8, b"x")))))
    assert profile_with(csr, Profile()) == Profile()
    assert len(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == len(names)


def test_a_directory_name_is_checked_as_the_subject_is() -> None:
    name = sequence(rdn((C, PRINTABLE, b"USA")))
    assert refusal(crafted(alternative_names((0xA4, name)))).startswith('directory name, 2.5.4.6: "USA" is not a')


@pytest.mark.parametrize("tag", [0xA3, 0xA5])
def test_names_of_kinds_that_nobody_has_are_refused(tag: int) -> None:
    assert "among the alternative names is not supported: leave it out" in refusal(
        crafted(alternative_names((tag, b"\x30\x00")))
    )


@pytest.mark.parametrize(
    "extension",
    [
        ("2.5.29.35", bytes.fromhex("30058003010203")),  # authorityKeyIdentifier
        ("2.5.29.14", bytes.fromhex("0403010203")),  # subjectKeyIdentifier
        ("1.3.6.1.5.5.7.1.24", bytes.fromhex("3003020111")),  # TLS feature: status_request_v2
        ("1.3.6.1.4.1.99999.8", b"not DER"),
        ("1.3.6.1.4.1.99999.8", b""),
        ("1.3.6.1.4.1.311.20.2", bytes.fromhex("1e060057004500420000")[:8]),  # of Microsoft: the template's name
        ("2.5.29.32", sequence(sequence(oid("2.23.140.1.2.1")))),  # certificatePolicies
    ],
    ids=lambda one: one[0],
)
def test_an_extension_that_no_field_has_is_not_asked_for_and_not_refused(extension: tuple[str, bytes]) -> None:
    assert asked(crafted(WWW, extension)) == Profile()


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        (("2.5.29.15", b"\x05\x00"), "an extension (key usage) has a value that cannot be read"),
        (("2.5.29.19", b"\x30\x03\x02\x01\x05"), "an extension (basic constraints) has a value"),
        (("2.5.29.35", b"\xff"), "an extension (authority key identifier) has a value"),
        (alternative_names((DNS, b"b\xfccher.example")), "a DNS name among the alternative names has characters other"),
        (alternative_names((URI, b"https://\xff/")), "a URI among the alternative names has characters other"),
        (alternative_names((0xA4, sequence(rdn()))), "a directory name has a part without an attribute"),
    ],
)
def test_a_malformed_extension_is_named(extension: tuple[str, bytes], words: str) -> None:
    assert words in refusal(crafted(extension))
    assert words in refusal(crafted(WWW, extension)) or extension[0] == WWW[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (crafted(WWW, attributes=b""), "the field with its attributes is missing"),
        (crafted(WWW, version=asn1.encode(2, b"")), "its version is not 0"),
        (crafted(WWW, version=asn1.encode(2, b"\1")), "its version is not 0"),
        (crafted(WWW, version=b""), "its version is not 0"),
        (crafted(WWW)[:-5], "it is cut off, or no DER"),
        (crafted(WWW) + b"\0", "it is not a certificate signing request, or damaged"),
        (b"\x30\x00", "it is not a certificate signing request, or damaged"),
        (b"\x30\x80\x00\x00", "it is cut off, or no DER"),
    ],
)
def test_the_form_is_explained(data: bytes, words: str) -> None:
    assert words in refusal(data)


TOLD = {
    "dot-after-dns-name": "dnsNames: ",
    "empty-attributes": "subject.countries: an attribute of a distinguished name cannot be empty",
    "empty-rdn": "the subject has a part without an attribute",
    "ip-address-of-five-octets": "has 5 octets, where 4 or 16 are required",
    "ip-address-with-netmask": "give the address without a netmask",
    "ip-addresses-as-dns-names": "is an IP address: use ipAddresses",
    "long-common-name": "commonName: ",
    "rsa-pss-key": "make the key as plain RSA",
    "t61string-in-latin-1": "(O, a T61String)",
    "underscore-in-dns-name": "has an underscore",
    "utf-8-in-dns-name": 'write it as "xn--bcher-kva.example.com"',
    "version-without-octets": "its version is not 0",
    "without-attributes": "the field with its attributes is missing",
}
TAKEN = {"authority-key-identifier", "private-extension-that-is-no-der"}


@pytest.mark.parametrize("path", sorted(GIVEN.glob("*.csr")), ids=lambda path: path.stem)
def test_what_others_tools_made(path: Path) -> None:
    if path.stem in TAKEN:
        assert asked(path.read_bytes()) == Profile()
    else:
        assert TOLD[path.stem] in refusal(path.read_bytes())
