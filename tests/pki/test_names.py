"""Names: what goes in, what stands in the certificate, and what no CA takes."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki.errors import PkiError
from csr_operator.pki.names import Names, OtherName, Subject, general_names, subject_name
from tests.pki.support import LEAF, request

EVERY_ATTRIBUTE = Subject(
    countries=("DE",),
    organizations=("Example Ltd", "Second Ltd"),
    organizational_units=("Web",),
    localities=("Köln",),
    provinces=("NRW",),
    street_addresses=("Domkloster 4",),
    postal_codes=("50667",),
    serial_number="HRB 12345",
    email_address="hostmaster@Bücher.example",
)


def values(names: Names) -> list[object]:
    return [one.value for one in general_names(names)]


def test_every_attribute_stands_in_the_subject_in_an_rdn_of_its_own_in_the_order_that_cas_ask_for() -> None:
    name = subject_name(Names(common_name="www.example.com", subject=EVERY_ATTRIBUTE))
    assert [(rdn.get_attributes_for_oid(one.oid)[0].oid._name, one.value) for rdn in name.rdns for one in rdn] == [
        ("countryName", "DE"),
        ("stateOrProvinceName", "NRW"),
        ("localityName", "Köln"),
        ("postalCode", "50667"),
        ("streetAddress", "Domkloster 4"),
        ("organizationName", "Example Ltd"),
        ("organizationName", "Second Ltd"),
        ("organizationalUnitName", "Web"),
        ("serialNumber", "HRB 12345"),
        ("commonName", "www.example.com"),
        ("emailAddress", "hostmaster@xn--bcher-kva.example"),
    ]


def test_an_email_address_in_the_subject_is_an_alternative_name_too() -> None:
    names = Names(subject=EVERY_ATTRIBUTE, email_addresses=("a@example.com", "hostmaster@xn--bcher-kva.example"))
    assert values(names) == ["a@example.com", "hostmaster@xn--bcher-kva.example"]
    assert values(Names(subject=EVERY_ATTRIBUTE)) == ["hostmaster@xn--bcher-kva.example"]


def test_no_name_makes_an_empty_subject() -> None:
    assert subject_name(Names(dns_names=("example.com",))) == x509.Name([])


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("example.com", "example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("*.example.com", "*.example.com"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),  # an emoji domain: not IDNA 2008, but there are certificates for it
        ("r3---sn-5hne6.example.com", "r3---sn-5hne6.example.com"),
        ("a" * 63 + ".example.com", "a" * 63 + ".example.com"),
        (".".join(["a" * 49] * 5) + ".com", ".".join(["a" * 49] * 5) + ".com"),  # 253 octets
    ],
)
def test_dns_names_are_written_in_lower_case_and_a_labels(given: str, written: str) -> None:
    assert values(Names(dns_names=(given,))) == [written]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", '"" is empty'),
        ("_dmarc.example.com", "has an underscore"),
        ("bü_cher.example", "has an underscore"),
        ("www..example.com", "has an empty label"),
        (".example.com", "has an empty label"),
        ("example.com.", "ends in a dot: leave it out"),
        ("a" * 64 + ".example.com", "has a label of more than 63 octets"),
        ("ü" * 60 + ".example.com", "is not an internationalized domain name"),
        (".".join(["a" * 50] * 5) + ".com", "is longer than 253 octets"),
        ("*", "has a wildcard that is not the whole leftmost label"),
        ("*.", "is a wildcard for everything"),
        ("www.*.example.com", "has a wildcard that is not the whole leftmost label"),
        ("w*.example.com", "has a wildcard that is not the whole leftmost label"),
        ("*.*.example.com", "has a wildcard that is not the whole leftmost label"),
        ("192.0.2.1", "is an IP address: use ipAddresses"),
        ("2001:db8::1", "is an IP address: use ipAddresses"),
        ("example.123", "ends in a number"),
        ("-www.example.com", 'has the label "-www"'),
        ("www-.example.com", 'has the label "www-"'),
        ("www.example.com:443", 'has the label "com:443"'),
        ("https://example.com", 'has the label "https://example"'),
        ("www example.com", "has white space or control characters"),
        ("www.example.com\x00.evil.example", "has white space or control characters"),
        ("www.example.com\n", "has white space or control characters"),
        ("xn--a.example", 'has the label "xn--a", which is not an A-label'),
        ("xn--\u00fc.example", "is not an internationalized domain name"),
        ("☃.example", "is not an internationalized domain name"),
        ("a\u200db.example", "has white space or control characters"),
    ],
)
def test_dns_names_that_no_ca_takes_are_refused_with_the_reason(given: str, words: str) -> None:
    with pytest.raises(PkiError) as caught:
        general_names(Names(dns_names=("example.com", given)))
    assert str(caught.value).startswith("dnsNames: ")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(PkiError) as caught:
        general_names(Names(dns_names=("a" * 100_000,)))
    assert len(str(caught.value)) < 300


def test_duplicates_go_and_the_order_stays() -> None:
    names = Names(
        dns_names=("b.example", "A.example", "B.EXAMPLE", "a.example"),
        ip_addresses=("2001:db8::1", "192.0.2.1", "2001:0db8:0::0001"),
    )
    assert values(names) == [
        "b.example",
        "a.example",
        ipaddress.ip_address("2001:db8::1"),
        ipaddress.ip_address("192.0.2.1"),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("192.0.2.0/24", "one address without a prefix length is required"),
        ("192.0.2.256", "is not an IPv4 or IPv6 address"),
        ("192.0.2.01", "is not an IPv4 or IPv6 address"),
        ("fe80::1%eth0", "has a zone (%eth0): leave it out"),
        ("example.com", "is not an IPv4 or IPv6 address"),
    ],
)
def test_ip_addresses_that_are_none_are_refused(given: str, words: str) -> None:
    with pytest.raises(PkiError) as caught:
        general_names(Names(ip_addresses=(given,)))
    assert str(caught.value).startswith("ipAddresses: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("user@example.com", "user@example.com"),
        ("First.Last+tag@EXAMPLE.com", "First.Last+tag@example.com"),
        ("user@bücher.example", "user@xn--bcher-kva.example"),
    ],
)
def test_email_addresses_keep_the_local_part_and_encode_the_domain(given: str, written: str) -> None:
    assert values(Names(email_addresses=(given,))) == [written]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("example.com", "is not of the form user@example.com"),
        ("@example.com", "is not of the form user@example.com"),
        ("user@", "is not of the form user@example.com"),
        ("jürgen@example.com", "SmtpUTF8Mailbox"),
        ("a user@example.com", "has no valid local part"),
        ("a..b@example.com", "has no valid local part"),
        ("a@b@example.com", "has no valid local part"),
        ("x" * 65 + "@example.com", "has no valid local part"),
        ("Some User <user@example.com>", "has no valid local part"),
        ("user@*.example.com", "has a wildcard, which only dnsNames may have"),
        ("user@exam_ple.com", "has an underscore"),
        ("user@192.0.2.1", "is an IP address"),
    ],
)
def test_email_addresses_that_no_ca_takes_are_refused(given: str, words: str) -> None:
    with pytest.raises(PkiError) as caught:
        general_names(Names(email_addresses=(given,)))
    assert str(caught.value).startswith("emailAddresses: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("spiffe://example.org/ns/default/sa/web", "spiffe://example.org/ns/default/sa/web"),
        ("spiffe://my_domain/web", "spiffe://my_domain/web"),
        ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        ("https://example.com:8443/a%20b?q=1#f", "https://example.com:8443/a%20b?q=1#f"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/"),
        ("https://192.0.2.1/", "https://192.0.2.1/"),
        ("ldap:///cn=x,dc=example", "ldap:///cn=x,dc=example"),
        ("https://bücher.example/ü?q=ö", "https://xn--bcher-kva.example/%C3%BC?q=%C3%B6"),
        ("https://müller@bücher.example:8443/", "https://m%C3%BCller@xn--bcher-kva.example:8443/"),
    ],
)
def test_uris_stay_as_they_are_but_for_what_is_not_ascii(given: str, written: str) -> None:
    assert values(Names(uris=(given,))) == [written]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("/relative/path", "is not absolute"),
        ("example.com", "is not absolute"),
        ("urn:", "is not absolute"),
        ("http:///path", "has no host"),
        ("https:path", "has no host"),
        ("spiffe:///path", "has no host"),
        ("https://:8443/", "has no host"),
        ("https://example.com:http/", "cannot be parsed"),
        ("https://[2001:db8::zz]/", "cannot be parsed"),
        ("https://exa mple.com/", "has characters that a URI cannot hold"),
        ("https://example.com/<a>", "has characters that a URI cannot hold"),
        ("https://example.com/\n", "has characters that a URI cannot hold"),
        ("https://exa..mple.com/", "has an empty label"),
        ("https://*.example.com/", "has a wildcard, which only dnsNames may have"),
    ],
)
def test_uris_that_no_ca_takes_are_refused(given: str, words: str) -> None:
    with pytest.raises(PkiError) as caught:
        general_names(Names(uris=(given,)))
    assert str(caught.value).startswith("uris: ")
    assert words in str(caught.value)


def test_an_other_name_is_a_utf8_string() -> None:
    [name] = general_names(Names(other_names=(OtherName("1.3.6.1.4.1.311.20.2.3", "üser@example.com"),)))
    assert isinstance(name, x509.OtherName)
    assert name.value == b"\x0c\x11" + "üser@example.com".encode()


def test_a_long_other_name_has_a_long_length() -> None:
    [name] = general_names(Names(other_names=(OtherName("1.2.3", "x" * 300),)))
    assert name.value == b"\x0c\x82\x01\x2c" + b"x" * 300


@pytest.mark.parametrize("oid", ["", "upn", "1", "1.2.", "9.9.9"])
def test_an_other_name_needs_an_object_identifier(oid: str) -> None:
    with pytest.raises(PkiError, match=r"otherNames: .* is not a dotted object identifier"):
        general_names(Names(other_names=(OtherName(oid, "x"),)))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (Names(common_name="x" * 65), "commonName: .* is longer than 64 characters"),
        (Names(common_name="ü" * 33), "commonName: .* is longer than 64 octets"),
        (Names(common_name="www.example.com\x00.evil"), "commonName: .* has control characters"),
        (Names(subject=Subject(countries=("DEU",))), "subject.countries: .* two letters"),
        (Names(subject=Subject(countries=("",))), "subject.countries: .* cannot be empty"),
        (Names(subject=Subject(organizations=("x" * 65,))), "subject.organizations: .* longer than 64 characters"),
        (Names(subject=Subject(localities=("x" * 129,))), "subject.localities: .* longer than 128 characters"),
        (Names(subject=Subject(postal_codes=("x" * 41,))), "subject.postalCodes: .* longer than 40 characters"),
        (Names(subject=Subject(serial_number="nürnberg")), "subject.serialNumber: .* other than letters, digits"),
        (Names(subject=Subject(email_address="nobody")), "subject.emailAddress: .* not of the form"),
        (
            Names(common_name="a", literal_subject="CN=a"),
            "literalSubject cannot be used together with commonName or subject",
        ),
        (Names(subject=Subject(countries=("DE",)), literal_subject="CN=a"), "literalSubject cannot be used together"),
    ],
)
def test_what_a_distinguished_name_cannot_hold_is_refused_by_field(names: Names, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        subject_name(names)


def test_the_limits_count_characters() -> None:
    name = subject_name(Names(subject=Subject(organizations=("ü" * 64,), countries=("de",))))
    assert [one.value for one in name] == ["DE", "ü" * 64]


def test_a_common_name_that_repeats_a_dns_name_is_spelt_as_the_dns_name_is() -> None:
    names = Names(common_name="bücher.example", dns_names=("bücher.example",))
    assert subject_name(names).get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "xn--bcher-kva.example"
    alone = Names(common_name="Büchner GmbH", dns_names=("example.com",))
    assert subject_name(alone).get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Büchner GmbH"


def test_a_request_for_no_name_at_all_is_refused() -> None:
    with pytest.raises(PkiError, match="the request names nothing: give commonName or one of dnsNames"):
        request(Names(), LEAF)
