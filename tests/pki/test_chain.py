"""Bundles: read within bounds, and put into the order that servers want."""

from collections.abc import Callable
from datetime import timedelta

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from csr_operator.pki.authority import Authority
from csr_operator.pki.chain import Chain, build_chain, load_bundle, to_pem
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import private_key_pem
from tests.pki.support import NOW, P256, authority, issue, key_of, openssl, pem, request


@pytest.fixture(scope="module")
def cas() -> tuple[Authority, Authority, Authority]:
    root = authority("Root")
    middle = authority("Middle", parent=root)
    return root, middle, authority("Low", parent=middle)


@pytest.fixture(scope="module")
def chain(cas: tuple[Authority, Authority, Authority]) -> Chain:
    return issue(cas[2], request())


def names(certificates: tuple[x509.Certificate, ...]) -> list[str]:
    return [str(one.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for one in certificates]


def test_the_order_is_repaired_and_duplicates_and_strangers_go(
    cas: tuple[Authority, Authority, Authority], chain: Chain
) -> None:
    root, middle, low = (one.certificate for one in cas)
    stranger = authority("Stranger").certificate
    given = [root, stranger, low, chain.leaf, middle, low, chain.leaf, root]
    built = build_chain(request().csr, given)
    assert names(built.certificates) == ["www.example.com", "Low", "Middle", "Root"]
    assert built == build_chain(request().key.public_key(), reversed(given)) == chain
    assert built.pem == pem(chain.leaf) + pem(low) + pem(middle)
    assert built.ca_pem == pem(root)


def test_without_the_root_the_topmost_ca_stands_for_it(
    cas: tuple[Authority, Authority, Authority], chain: Chain
) -> None:
    _, middle, low = (one.certificate for one in cas)
    built = build_chain(request().csr, [middle, low, chain.leaf])
    assert built.root is None
    assert built.ca_pem == pem(middle)
    assert build_chain(request().csr, [chain.leaf]).ca_pem == b""


def test_a_gap_ends_the_chain(cas: tuple[Authority, Authority, Authority], chain: Chain) -> None:
    root, _, low = (one.certificate for one in cas)
    assert names(build_chain(request().csr, [chain.leaf, low, root]).certificates) == ["www.example.com", "Low"]


def test_a_self_signed_ca_ends_the_chain_where_it_is_cross_signed_too() -> None:
    old, new = authority("Old Root"), authority("New Root")
    crossed = (
        x509.CertificateBuilder(old.certificate.subject, new.certificate.subject, new.key.public_key(), 7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(old.key, hashes.SHA256())
    )
    leaf = issue(new, request()).leaf
    both = build_chain(request().csr, [leaf, crossed, old.certificate, new.certificate])
    assert names(both.certificates) == ["www.example.com", "New Root"]
    only_old = build_chain(request().csr, [leaf, crossed, old.certificate])
    assert names(only_old.certificates) == ["www.example.com", "New Root", "Old Root"]


def test_an_answer_for_another_key_is_refused(chain: Chain) -> None:
    with pytest.raises(PkiError, match="none of the 4 certificates is for the key that was asked for"):
        build_chain(key_of(P256, 1).public_key(), chain.certificates)


def test_a_ca_of_the_right_name_that_did_not_sign_is_refused(chain: Chain) -> None:
    impostor = authority("Low").certificate
    with pytest.raises(
        PkiError, match=r'chain: "CN=www\.example\.com" is not signed by the certificate that came along'
    ):
        build_chain(request().csr, [chain.leaf, impostor])


def test_two_cas_that_sign_each_other_make_no_endless_chain() -> None:
    one, two = authority("One"), authority("Two")

    def cross(subject: Authority, issuer: Authority) -> x509.Certificate:
        return (
            x509.CertificateBuilder(
                issuer.certificate.subject, subject.certificate.subject, subject.key.public_key(), 7
            )
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=30))
            .sign(issuer.key, hashes.SHA256())
        )

    leaf = issue(one, request()).leaf
    built = build_chain(request().csr, [leaf, cross(one, two), cross(two, one)])
    assert names(built.certificates) == ["www.example.com", "One", "Two"]


def test_a_chain_of_more_than_ten_is_refused() -> None:
    ca = authority("0")
    for depth in range(1, 10):
        ca = authority(str(depth), parent=ca)
    with pytest.raises(PkiError, match="it has more than 10 certificates"):
        issue(ca, request())


def packed(chain: Chain) -> bytes:
    return pkcs7.serialize_certificates(list(chain.certificates), Encoding.PEM)


@pytest.mark.parametrize(
    "write",
    [
        lambda chain: chain.pem + chain.ca_pem,
        lambda chain: b"Subject: something\n\n" + chain.pem + b"text between\n" + chain.ca_pem + b"\n\n",
        lambda chain: (chain.pem + chain.ca_pem).replace(b"\n", b"\r\n"),
        lambda chain: private_key_pem(key_of(P256)) + chain.pem + chain.ca_pem,
        lambda chain: b"\xef\xbb\xbf" + chain.pem + chain.ca_pem,
        lambda chain: (chain.pem + chain.ca_pem).replace(b"N CERT", b"N X509 CERT").replace(b"D CERT", b"D X509 CERT"),
        lambda chain: pkcs7.serialize_certificates(list(chain.certificates), Encoding.DER),
        lambda chain: pkcs7.serialize_certificates(list(chain.certificates), Encoding.PEM),
        lambda chain: packed(chain).replace(b"PKCS7", b"CMS"),
        lambda chain: packed(chain).replace(b"PKCS7", b"CERTIFICATE"),  # as AD CS writes it
        lambda chain: packed(chain).replace(b"PKCS7", b"CERTIFICATE") + chain.pem,
    ],
    ids=[
        *("PEM", "text around", "CRLF", "key before", "BOM", "old label", "PKCS #7 DER", "PKCS #7 PEM"),
        *("PKCS #7 under another label", "PKCS #7 as a certificate", "PKCS #7 beside a certificate"),
    ],
)
def test_every_form_of_a_bundle_is_read(write: Callable[[Chain], bytes], chain: Chain) -> None:
    assert set(load_bundle(write(chain))) == set(chain.certificates)


def test_a_bundle_that_openssl_packed_is_read(chain: Chain) -> None:
    packed = openssl("crl2pkcs7", "-nocrl", "-certfile", "/dev/stdin", stdin=to_pem(chain.certificates))
    assert set(load_bundle(packed.encode())) == set(chain.certificates)


def test_a_single_certificate_in_der_is_read(chain: Chain) -> None:
    assert load_bundle(chain.leaf.public_bytes(Encoding.DER)) == (chain.leaf,)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "there is no certificate in it"),
        (b"hello", "there is no certificate in it"),
        (private_key_pem(key_of(P256)), "there is no certificate in it"),
        (b"-----BEGIN CERTIFICATE-----\n", "the certificates cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "the certificate cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "the certificates cannot be read"),
        (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "cannot be read: the PKCS #7 is damaged"),
        (b"\x30\x80\x00\x00", "the certificate cannot be read"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "there is no certificate in it, only X509 CRL"),
        (b"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n", "without -trustout"),
        (pem(authority().certificate).decode().encode("utf-16"), "the text is in UTF-16: save it as UTF-8 or ASCII"),
        (b"".join(pem(authority().certificate).splitlines()[1:-1]), "put the lines -----BEGIN CERTIFICATE----- and"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        load_bundle(data)


def test_a_version_that_does_not_exist_is_refused(chain: Chain) -> None:
    der = chain.leaf.public_bytes(Encoding.DER)
    assert der[8:13] == bytes.fromhex("a003020102")
    with pytest.raises(PkiError, match="the certificate cannot be read"):
        load_bundle(der[:12] + b"\x07" + der[13:])


def test_a_name_that_cannot_be_decoded_is_refused(chain: Chain) -> None:
    der = chain.leaf.public_bytes(Encoding.DER).replace(b"www.example.com", b"www.ex\xff\xffple.com")
    with pytest.raises(PkiError, match="cannot be read"):
        load_bundle(der)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"-----BEGIN CERTIFICATE-----\n" * 37_000, "more than 250 certificates"),
        (b"".join(b"-----BEGIN %x-----\n" % n for n in range(45_000)), "END 0----- is missing"),
        (b"-----BEGIN " * 95_000, "there is no certificate in it"),
        (b"-----BEGIN CERTIFICATE-----\n" + b"-----BEGIN A-----\n" * 55_000, "cannot be read|are required"),
        (b"-----BEGIN CERTIFICATE-----\n" + b"A" * 1_000_000, "cannot be read|are required"),
        (b"-----BEGIN CERTIFICATE-----\n" + b"a: b\n" * 200_000, "cannot be read|are required"),
        (b"-" * 1_000_000 + b"-----BEGIN CERTIFICATE-----", "cannot be read|are required|no certificate"),
        (b"\x30\x84\x7f\xff\xff\xff" + b"\x30\x80" * 500_000, "cannot be read"),
        (b"x" * (1 << 20) + b"x", "take more than 1048576 bytes"),
    ],
    ids=[
        "headers",
        "headers of each kind",
        "half headers",
        "other headers",
        "no end",
        "pem headers",
        "dashes",
        "nested DER",
        "too large",
    ],
)
def test_a_megabyte_of_garbage_is_refused(data: bytes, words: str) -> None:
    """Each takes milliseconds. One that were quadratic would run into the time limit of the whole run."""
    with pytest.raises(PkiError, match=words):
        load_bundle(data)


def test_ten_thousand_certificates_are_refused_unread(chain: Chain) -> None:
    with pytest.raises(PkiError, match=r"take more than|more than 250 certificates"):
        load_bundle(pem(chain.leaf) * 10_000)
    with pytest.raises(PkiError, match="where 1 to 250 are required"):
        load_bundle(pkcs7.serialize_certificates([chain.leaf] * 251, Encoding.DER))


def test_as_many_cas_of_one_name_as_a_bundle_holds_cost_at_most_one_signature_check_each(chain: Chain) -> None:
    low = chain.intermediates[0]
    impostors = [
        x509.CertificateBuilder(low.issuer, low.subject, key_of(P256, 1).public_key(), serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key_of(P256, 1), hashes.SHA256())
        for serial in range(1, 249)
    ]
    assert build_chain(request().csr, [*impostors, chain.leaf, *chain.certificates]) == chain


@pytest.mark.parametrize(
    "name",
    ["cryptography.io.chain.pem", "cryptography.io.chain_with_garbage.pem", "cryptography.io.with_headers.pem"],
)
def test_bundles_of_others_are_read(name: str) -> None:
    with cryptography_vectors.open_vector_file(f"x509/{name}", "rb") as file:
        first, *rest = load_bundle(file.read())
    assert build_chain(first.public_key(), [*reversed(rest), first]).leaf == first
