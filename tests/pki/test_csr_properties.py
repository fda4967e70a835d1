"""Any request that we build is one that openssl reads, with the same names in it."""

import ipaddress
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csr_operator.pki.csr import CsrTemplate, build_csr, load_csr, profile_of
from csr_operator.pki.extensions import alternative_names, extensions_of
from csr_operator.pki.keys import KeyParameters
from csr_operator.pki.names import Names, Subject, general_names, subject_name
from csr_operator.pki.profile import Profile
from csr_operator.pki.usages import EXTENDED_KEY_USAGES
from tests.pki.support import ED25519, P256, P384, RSA, key_of, openssl, pem

pytestmark = pytest.mark.slow("starts openssl hundreds of times")

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda one: "--" not in one)
DOMAINS = st.builds(lambda labels: ".".join(labels) + ".example", st.lists(LABELS, min_size=1, max_size=3))
# Printable, and without the comma and plus that the form asked of openssl escapes.
TEXT = st.text(
    st.sampled_from(string.ascii_letters + string.digits + " -'()äöüßéč日本Ωπ"), min_size=1, max_size=20
).filter(lambda one: one == one.strip() and len(one.encode()) <= 64)


def tuples(values: st.SearchStrategy[str], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=most).map(tuple)


SUBJECTS = st.builds(
    Subject,
    countries=tuples(st.sampled_from(["DE", "US", "JP"]), 1),
    organizations=tuples(TEXT),
    organizational_units=tuples(TEXT),
    localities=tuples(TEXT),
    provinces=tuples(TEXT),
    street_addresses=tuples(TEXT),
    postal_codes=tuples(TEXT),
    serial_number=st.text(string.ascii_letters + string.digits, max_size=20),
)
NAMES = st.builds(
    Names,
    common_name=TEXT,
    subject=SUBJECTS,
    dns_names=tuples(st.builds(lambda star, name: star + name, st.sampled_from(["", "*."]), DOMAINS), 4),
    ip_addresses=tuples(st.ip_addresses().map(str), 3),
    uris=tuples(st.builds(lambda name: f"https://{name}/x", DOMAINS)),
    email_addresses=tuples(st.builds(lambda name: f"root@{name}", DOMAINS)),
)
PROFILES = st.builds(
    Profile,
    usages=st.lists(
        st.sampled_from(["digital signature", "content commitment", "crl sign", *EXTENDED_KEY_USAGES, "1.2.3.4"]),
        unique=True,
        max_size=5,
    ).map(tuple),
    must_staple=st.booleans(),
)


def sans_by_openssl(text: str) -> set[tuple[str, str]]:
    found = re.search(r"Subject Alternative Name: ?(?:critical)?\n +(.*)\n", text)
    pairs = (one.partition(":")[::2] for one in found[1].split(", ")) if found else ()
    # OpenSSL writes IPv6 addresses in full.
    return {(kind, str(ipaddress.ip_address(value)) if kind == "IP Address" else value) for kind, value in pairs}


KINDS = {"DNSName": "DNS", "IPAddress": "IP Address", "UniformResourceIdentifier": "URI", "RFC822Name": "email"}


@settings(max_examples=30, derandomize=True, deadline=None)
@given(NAMES, PROFILES, st.sampled_from([P256, P384, ED25519, RSA]))
def test_openssl_reads_from_any_request_what_went_into_it(
    names: Names, profile: Profile, parameters: KeyParameters
) -> None:
    csr = build_csr(CsrTemplate(names, profile), key_of(parameters))
    text = openssl("req", "-noout", "-text", "-verify", "-nameopt", "utf8,sep_multiline,sname", stdin=pem(csr))
    assert "verify OK" in text
    block = text[text.index("Subject:") : text.index("Subject Public Key Info:")]
    assert [line.strip().partition("=")[2] for line in block.splitlines()[1:] if line.strip()] == [
        one.value for one in subject_name(names)
    ]
    assert sans_by_openssl(text) == {(KINDS[type(one).__name__], str(one.value)) for one in general_names(names)}
    assert ("status_request" in text) == profile.must_staple
    again = load_csr(pem(csr))
    assert alternative_names(again) == general_names(names)
    assert again.subject == subject_name(names)
    same = build_csr(CsrTemplate(names, profile_of(again)), key_of(parameters))
    assert list(extensions_of(same)) == list(extensions_of(csr))
