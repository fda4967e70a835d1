"""literalSubject: distinguished names as RFC 4514 writes them."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from csr_operator.pki.errors import PkiError
from csr_operator.pki.names import Names, subject_name


def parsed(text: str) -> list[list[tuple[str, str]]]:
    """The RDNs in the order in which they are encoded."""
    name = subject_name(Names(literal_subject=text))
    return [[(one.oid.dotted_string, str(one.value)) for one in rdn] for rdn in name.rdns]


CN, ORG, OU, DC, UID = "2.5.4.3", "2.5.4.10", "2.5.4.11", "0.9.2342.19200300.100.1.25", "0.9.2342.19200300.100.1.1"


@pytest.mark.parametrize(
    ("text", "rdns"),
    [
        ("CN=www", [[(CN, "www")]]),
        ("CN=www,OU=Web,O=Example", [[(ORG, "Example")], [(OU, "Web")], [(CN, "www")]]),
        ("cn=www, o = Example", [[(ORG, "Example")], [(CN, "www")]]),
        ("UID=jsmith,DC=example,DC=net", [[(DC, "net")], [(DC, "example")], [(UID, "jsmith")]]),
        ("OU=Sales+CN=J.  Smith,DC=net", [[(DC, "net")], [(OU, "Sales"), (CN, "J.  Smith")]]),
        (r"CN=James \"Jim\" Smith\, III", [[(CN, 'James "Jim" Smith, III')]]),
        (r"CN=Lu\C4\8Di\C4\87", [[(CN, "Lučić")]]),
        (r"CN=\ two spaces \ ", [[(CN, " two spaces  ")]]),
        (r"CN=a\+b\;c\<d\>e\\f\=g\#", [[(CN, r"a+b;c<d>e\f=g#")]]),
        ("CN=a=b", [[(CN, "a=b")]]),
        ("CN=ends in spaces   ", [[(CN, "ends in spaces")]]),
        ("2.5.4.3=www", [[(CN, "www")]]),
        ("1.3.6.1.4.1.99999.1=anything", [[("1.3.6.1.4.1.99999.1", "anything")]]),
        ("CN=#0C05C3BCC3BC78", [[(CN, "üüx")]]),
        ("CN=#1303777777", [[(CN, "www")]]),
        ("C=de", [[("2.5.4.6", "DE")]]),
    ],
)
def test_the_string_is_read_most_specific_first(text: str, rdns: list[list[tuple[str, str]]]) -> None:
    assert parsed(text) == rdns


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("www.example.com", "type=value is required at character 1"),
        ("CN=www,", "type=value is required at character 8"),
        ("CN=www,,O=x", "type=value is required at character 8"),
        ("/CN=www/O=x", "type=value is required at character 1"),
        ("CN=a;O=b", r'has an unescaped ; at character 5: write "\;"'),
        ('O="Example, Ltd"', r'has an unescaped " at character 3'),
        ("CN=", "cannot be empty"),
        ("FOO=bar", 'has the unknown attribute type "FOO": use its dotted OID'),
        ("9.9.9=bar", 'has the unknown attribute type "9.9.9"'),
        ("CN=a+CN=a", "has the same attribute twice in one RDN"),
        (r"CN=a\zz", "has a value that cannot be read at character 4"),
        (r"CN=\FF\FE", "has a value that cannot be read at character 4"),
        ("CN=#zz", "has a value that cannot be read at character 4"),
        ("CN=#0C05C3", "has a value that cannot be read at character 4"),
        ("CN=#020101", "has a value that cannot be read at character 4"),
        ("CN=#", "has a value that cannot be read at character 4"),
        ("C=Germany", "is not a country code of two letters"),
        (r"CN=a\00b", "has control characters"),
        ("CN=" + "x" * 65, "longer than 64 characters"),
        ("CN=x," * 2000 + "CN=x", "is longer than 8192 characters"),
    ],
)
def test_what_is_no_distinguished_name_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(PkiError) as caught:
        parsed(text)
    assert str(caught.value).startswith("literalSubject: ")
    assert words in str(caught.value)


TYPES = [NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.TITLE, x509.ObjectIdentifier("1.3.6.1.4.1.99999.7")]
VALUES = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=16)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(TYPES), VALUES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_name_that_cryptography_writes_is_read_back(rdns: list[dict[x509.ObjectIdentifier, str]]) -> None:
    name = x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, v) for oid, v in rdn.items()]) for rdn in rdns]
    )
    assert subject_name(Names(literal_subject=name.rfc4514_string())) == name
