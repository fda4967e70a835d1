"""Requests, as openssl reads them, and as we read those of others."""

from dataclasses import replace

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.csr import CsrTemplate, build_csr, csr_digest, load_csr, profile_of, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.keys import KeyParameters, load_private_key, private_key_pem
from csr_operator.pki.names import Names, OtherName, general_names, subject_name
from csr_operator.pki.profile import CustomExtension, NameConstraints, Profile, Subtrees
from tests.pki.support import ED25519, LEAF, ML_DSA, P256, P384, P521, RSA, WWW, key_of, openssl, pem, request
from tests.pki.test_names import EVERY_ATTRIBUTE

EVERY_NAME = Names(
    common_name="www.example.com",
    subject=EVERY_ATTRIBUTE,
    dns_names=("www.example.com", "*.example.com", "example.com", "bücher.example"),
    ip_addresses=("192.0.2.1", "2001:db8::1"),
    uris=("spiffe://example.com/web",),
    email_addresses=("hostmaster@example.com",),
    other_names=(OtherName("1.3.6.1.4.1.311.20.2.3", "web@corp.example.com"),),
)
EVERY_EXTENSION = Profile(
    usages=("digital signature", "cert sign", "crl sign", "server auth", "client auth", "1.3.6.1.4.1.99999.5"),
    is_ca=True,
    path_length=1,
    name_constraints=NameConstraints(
        permitted=Subtrees(
            dns_domains=("example.com",),
            ip_ranges=("10.0.0.0/8", "2001:db8::/32"),
            email_addresses=("ops@example.com", "example.org", ".example.net"),
            uri_domains=("example.com", ".example.org"),
        ),
        excluded=Subtrees(dns_domains=("secret.example.com",)),
    ),
    must_staple=True,
    extensions=(CustomExtension("1.3.6.1.4.1.99999.1", b"\x0c\x05hello", critical=True),),
)


def as_text(csr: x509.CertificateSigningRequest) -> str:
    """What `openssl req` says of the request; it fails if the signature is wrong."""
    text = openssl("req", "-noout", "-text", "-verify", "-nameopt", "utf8,sep_comma_plus", stdin=pem(csr))
    assert "verify OK" in text
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("parameters", "algorithm", "signature"),
    [
        (RSA, "Public-Key: (2048 bit)", "sha256WithRSAEncryption"),
        (P256, "ASN1 OID: prime256v1", "ecdsa-with-SHA256"),
        (P384, "ASN1 OID: secp384r1", "ecdsa-with-SHA384"),
        (P521, "ASN1 OID: secp521r1", "ecdsa-with-SHA512"),
        (ED25519, "Public Key Algorithm: ED25519", "Signature Algorithm: ED25519"),
    ],
    ids=str,
)
def test_openssl_verifies_the_request_and_reads_every_name(
    parameters: KeyParameters, algorithm: str, signature: str
) -> None:
    text = as_text(request(EVERY_NAME, LEAF, parameters).csr)
    assert algorithm in text
    assert signature in text
    assert (
        "Subject: C=DE,ST=NRW,L=Köln,postalCode=50667,street=Domkloster 4,O=Example Ltd,O=Second Ltd,OU=Web,"
        "serialNumber=HRB 12345,CN=www.example.com,emailAddress=hostmaster@xn--bcher-kva.example "
    ) in text
    assert (
        "X509v3 Subject Alternative Name: DNS:www.example.com, DNS:*.example.com, DNS:example.com,"
        " DNS:xn--bcher-kva.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1,"
        " URI:spiffe://example.com/web, email:hostmaster@example.com, email:hostmaster@xn--bcher-kva.example,"
        " othername: UPN::web@corp.example.com"
    ) in text


@pytest.mark.parametrize("parameters", ML_DSA, ids=str)
def test_ml_dsa_requests_carry_their_names_and_a_valid_signature(parameters: KeyParameters) -> None:
    csr = load_csr(pem(request(EVERY_NAME, LEAF, parameters).csr))
    assert csr.subject == subject_name(EVERY_NAME)
    assert alternative_names(csr) == general_names(EVERY_NAME)


def test_openssl_reads_every_extension() -> None:
    text = as_text(request(WWW, EVERY_EXTENSION).csr)
    for expected in (
        "X509v3 Key Usage: critical Digital Signature, Certificate Sign, CRL Sign ",
        "X509v3 Extended Key Usage: TLS Web Server Authentication, TLS Web Client Authentication, 1.3.6.1.4.1.99999.5 ",
        "X509v3 Basic Constraints: critical CA:TRUE, pathlen:1 ",
        "X509v3 Name Constraints: critical Permitted: DNS:example.com IP:10.0.0.0/255.0.0.0 IP:2001:DB8:0:0:0:0:0:0/",
        " email:ops@example.com email:example.org email:.example.net URI:example.com URI:.example.org ",
        " Excluded: DNS:secret.example.com ",
        "TLS Feature: status_request ",
        "1.3.6.1.4.1.99999.1: critical ..hello ",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("parameters", "usages"),
    [
        (RSA, "Digital Signature, Key Encipherment"),
        (P256, "Digital Signature"),
        (ED25519, "Digital Signature"),
    ],
    ids=str,
)
def test_with_no_usages_asked_for_the_default_is_what_the_key_can_do(parameters: KeyParameters, usages: str) -> None:
    text = as_text(request(WWW, Profile(), parameters).csr)
    assert f"X509v3 Key Usage: critical {usages} Signature" in text
    assert "Extended Key Usage" not in text
    assert "Basic Constraints" not in text


def test_the_alternative_names_are_critical_beside_an_empty_subject_only() -> None:
    assert "Subject Alternative Name: critical DNS:example.com" in as_text(
        request(Names(dns_names=("example.com",))).csr
    )
    assert "Subject Alternative Name: critical" not in as_text(request(WWW).csr)


def test_a_common_name_alone_needs_no_alternative_names() -> None:
    assert "Alternative Name" not in as_text(request(Names(common_name="www.example.com")).csr)


def test_a_literal_subject_is_encoded_most_significant_first() -> None:
    names = Names(literal_subject=r"CN=www.example.com,OU=Web+UID=7,DC=example,DC=com", dns_names=("example.com",))
    assert "Subject: DC=com,DC=example,OU=Web+UID=7,CN=www.example.com " in as_text(request(names).csr)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_request_is_read_in_both_forms(encoding: Encoding) -> None:
    csr = request().csr
    assert load_csr(csr.public_bytes(encoding)) == csr


@pytest.mark.parametrize("profile", [LEAF, EVERY_EXTENSION, Profile(), Profile(is_ca=True)])
def test_the_profile_of_our_own_requests_comes_back(profile: Profile) -> None:
    asked = request(WWW, profile)
    again = profile_of(asked.csr)
    assert list(request(WWW, again).csr.extensions) == list(asked.csr.extensions)


def test_the_profile_of_a_request_that_openssl_made() -> None:
    made = openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", "/dev/null"),
        *("-subj", "/C=DE/O=Example/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com"),
        *("-addext", "keyUsage=critical,digitalSignature,keyAgreement", "-addext", "basicConstraints=CA:FALSE"),
        *("-addext", "extendedKeyUsage=serverAuth,1.2.3.4"),
        *("-addext", "tlsfeature=status_request", "-addext", "1.2.3.5=DER:0C0161"),
    )
    csr = load_csr(made[made.index("-----BEGIN CERT") :].encode())
    assert profile_of(csr) == Profile(
        usages=("digital signature", "key agreement", "server auth", "1.2.3.4"),
        must_staple=True,
        extensions=(CustomExtension("1.2.3.5", b"\x0c\x01a"),),
    )


def test_what_is_said_beside_a_request_goes_first() -> None:
    made = load_csr(pem(request(WWW, EVERY_EXTENSION).csr))
    asked = replace(profile_of(made), extensions=())
    assert profile_with(made, Profile()) == asked
    beside = Profile(usages=("client auth",), extensions=(CustomExtension("1.2.3.5", b"\x0c\x01a"),))
    assert profile_with(made, beside) == replace(asked, usages=beside.usages, extensions=beside.extensions)
    assert profile_with(made, Profile(is_ca=True, path_length=0)) == replace(asked, path_length=0)
    assert profile_with(request(WWW, Profile()).csr, EVERY_EXTENSION) == EVERY_EXTENSION


def test_a_request_without_names_asks_for_nothing() -> None:
    made = openssl("req", "-new", "-newkey", "ed25519", "-noenc", "-keyout", "/dev/null", "-subj", "/O=Example")
    with pytest.raises(PkiError, match="the request names nothing"):
        profile_with(load_csr(made[made.index("-----BEGIN CERT") :].encode()), Profile())


@pytest.mark.parametrize("parameters", [RSA, P256, ED25519, *ML_DSA], ids=str)
def test_the_digest_of_a_request_is_the_same_however_often_it_is_signed(parameters: KeyParameters) -> None:
    first = request(WWW, LEAF, parameters)
    again = build_csr(CsrTemplate(WWW, LEAF), first.key)
    other = request(WWW, Profile(), parameters)
    digest = csr_digest(pem(first.csr).decode())
    assert csr_digest(pem(again).decode()) == digest
    assert csr_digest(pem(other.csr).decode()) != digest
    assert len(digest) == 32


def test_only_the_text_of_the_request_itself_has_its_digest() -> None:
    text = pem(request(WWW, LEAF).csr).decode()
    for other in (f"{text}{text}", f"x\n{text}", text.replace("\n", "\r\n"), text[:-1], "x", "\N{SNOWMAN}"):
        assert csr_digest(other) == "-"
    assert csr_digest("") == ""


def vector(name: str) -> bytes:
    with cryptography_vectors.open_vector_file(f"x509/requests/{name}", "rb") as file:
        return file.read()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "name",
    ["challenge.pem", "challenge-unstructured.pem", "ec_sha256.der", "ec_sha256.pem", "ec_sha256_old_header.pem"],
)
def test_good_requests_of_others_are_read(name: str) -> None:
    assert profile_of(load_csr(vector(name))) == Profile()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("invalid_signature.pem", "RSA keys of 1024 bits are not accepted"),
        ("two_basic_constraints.pem", "the extension 2.5.29.19 is there twice"),
        ("dsa_sha1.pem", "keys of this kind are not accepted: use one of RSA, ECDSA"),
        ("dsa_sha1.der", "keys of this kind are not accepted: use one of RSA, ECDSA"),
        ("rsa_sha1.pem", "is signed with SHA1: sign it with SHA-256"),
        ("san_rsa_sha1.der", "is signed with SHA1: sign it with SHA-256"),
        ("rsa_md4.pem", "is signed with an unknown algorithm"),
        ("rsa_md4.der", "is signed with an unknown algorithm"),
        ("bad-version.pem", "its version is not 0"),
        ("zero-element-attribute.pem", "its attributes or extensions are damaged"),
        ("freeipa-bad-critical.pem", "an extension .subject alternative names. has a value that cannot be read"),
        ("long-form-attribute.pem", "is not that of the key in it"),
        ("challenge-multi-valued.der", "is not that of the key in it"),
    ],
)
def test_bad_requests_of_others_are_refused_with_the_reason(name: str, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        load_csr(vector(name))


def test_a_request_signed_by_another_key_is_refused() -> None:
    der = bytearray(request().csr.public_bytes(Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(PkiError, match="not that of the key in it"):
        load_csr(bytes(der))


BEGIN, END = b"-----BEGIN CERTIFICATE REQUEST-----\n", b"-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "none was found: paste what `openssl req -new` writes, from -----BEGIN on"),
        (b"hello", "none was found: paste what"),
        (b"\x30\x82", "it is cut off, or no DER"),
        (BEGIN + b"AAAA\n", "a line -----END CERTIFICATE REQUEST----- is missing: it is cut off"),
        (BEGIN + b"AAAA\n" + END, "it is not a certificate signing request, or damaged"),
        (BEGIN + b"A!AA\n" + END, "is damaged: it is not base64"),
        (pem(request().csr).replace(b" REQUEST", b""), "none was found, only CERTIFICATE"),
        (b"".join(pem(request().csr).splitlines()[1:-1]), "the lines -----BEGIN CERTIFICATE REQUEST----- and"),
        (pem(request().csr).decode().encode("utf-16"), "the text is in UTF-16: save it as UTF-8 or ASCII"),
        (private_key_pem(key_of(P256)), "this is a private key, which must stay secret"),
    ],
)
def test_what_is_no_request_is_refused_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(PkiError) as caught:
        load_csr(data)
    assert str(caught.value).startswith("the certificate signing request: ")
    assert words in str(caught.value)


def test_what_stands_around_a_request_does_not_count() -> None:
    made = request().csr
    text = openssl("req", "-text", stdin=pem(made)).encode()  # which writes it for the eye first
    assert text.startswith(b"Certificate Request:")
    for data in (text, b"\xef\xbb\xbf" + pem(made), pem(made).replace(b"\n", b"\r\n") + b"\n\nthat was it\n"):
        assert load_csr(data) == made
    assert load_csr(private_key_pem(key_of(P256)) + pem(made)) == made


def test_a_key_for_one_kind_of_signature_alone_is_refused() -> None:
    made = openssl(
        *("req", "-new", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-noenc"),
        *("-keyout", "/dev/stdout", "-subj", "/CN=www.example.com"),
    )
    for read in (load_csr, load_private_key):
        with pytest.raises(PkiError, match="make the key as plain RSA"):
            read(made.encode())


def test_a_bomb_is_refused_unread() -> None:
    with pytest.raises(PkiError, match="larger than 524288 bytes"):
        load_csr(b"-----BEGIN CERTIFICATE REQUEST-----\n" * 30_000)
