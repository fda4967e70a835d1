"""What our CAs sign, as openssl reads and verifies it, and what they refuse to sign."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from csr_operator.pki.authority import load_authority, self_sign, sign
from csr_operator.pki.chain import build_chain, to_pem
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyParameters, private_key_pem
from csr_operator.pki.names import Names
from csr_operator.pki.profile import NameConstraints, Profile, Subtrees
from csr_operator.pki.verify import verify
from tests.pki.support import (
    DAY,
    ED25519,
    LEAF,
    ML_DSA,
    NOW,
    P256,
    P384,
    P521,
    RSA,
    WWW,
    authority,
    issue,
    key_of,
    openssl,
    openssl_verify,
    pem,
    request,
)
from tests.pki.test_csr import EVERY_EXTENSION, EVERY_NAME


def as_text(certificate: x509.Certificate) -> str:
    return " ".join(
        openssl("x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus", stdin=pem(certificate)).split()
    )


@pytest.mark.parametrize(
    ("parameters", "signature"),
    [
        (RSA, "sha256WithRSAEncryption"),
        (P256, "ecdsa-with-SHA256"),
        (P384, "ecdsa-with-SHA384"),
        (P521, "ecdsa-with-SHA512"),
        (ED25519, "ED25519"),
    ],
    ids=str,
)
def test_openssl_verifies_what_a_ca_below_a_root_signs(
    parameters: KeyParameters, signature: str, tmp_path: Path
) -> None:
    root = authority(parameters=parameters)
    below = authority(
        "Test Intermediate", parent=root, profile=Profile(is_ca=True, path_length=0), parameters=parameters
    )
    asked = request(EVERY_NAME, LEAF, parameters)
    chain = issue(below, asked)
    assert openssl_verify(chain, tmp_path, "-purpose", "sslserver").endswith("leaf.pem: OK\n")
    for name in ("www.example.com", "any.example.com", "xn--bcher-kva.example"):
        openssl_verify(chain, tmp_path, "-verify_hostname", name)
    openssl_verify(chain, tmp_path, "-verify_ip", "2001:db8::1")
    text = as_text(chain.leaf)
    assert f"Signature Algorithm: {signature}" in text
    assert "Issuer: C=DE,O=Example Ltd,CN=Test Intermediate " in text
    for expected in (
        "Subject: C=DE,ST=NRW,L=Köln,postalCode=50667,street=Domkloster 4,O=Example Ltd,O=Second Ltd,OU=Web,",
        "DNS:*.example.com, DNS:example.com,",
        "X509v3 Basic Constraints: critical CA:FALSE",
        "X509v3 Extended Key Usage: TLS Web Server Authentication",
        "X509v3 Subject Key Identifier:",
        "X509v3 Authority Key Identifier:",
        "Not Before: May 4 12:00:00 2041 GMT",
        "Not After : Aug 2 12:00:00 2041 GMT",
    ):
        assert expected in text


@pytest.mark.parametrize("parameters", ML_DSA, ids=str)
def test_ml_dsa_cas_sign_ml_dsa_certificates(parameters: KeyParameters) -> None:
    root = authority(parameters=parameters)
    asked = request(WWW, LEAF, parameters)
    chain = issue(root, asked)
    verify(chain, asked.csr, LEAF, now=NOW, roots=(root.certificate,))
    chain.leaf.verify_directly_issued_by(root.certificate)


def test_every_extension_asked_for_is_in_the_certificate() -> None:
    root = authority()
    asked = request(Names(common_name="Sub CA"), EVERY_EXTENSION)
    text = as_text(issue(root, asked).leaf)
    for expected in (
        "X509v3 Key Usage: critical Digital Signature, Certificate Sign, CRL Sign ",
        "X509v3 Basic Constraints: critical CA:TRUE, pathlen:1 ",
        "Permitted: DNS:example.com IP:10.0.0.0/255.0.0.0",
        "TLS Feature: status_request ",
        "1.3.6.1.4.1.99999.1: critical ..hello ",
    ):
        assert expected in text


@pytest.mark.parametrize("parameters", [RSA, P256, ED25519], ids=str)
def test_a_self_signed_certificate_verifies_by_itself(parameters: KeyParameters, tmp_path: Path) -> None:
    asked = request(WWW, LEAF, parameters)
    own = self_sign(asked.csr, asked.key, LEAF, not_before=NOW, not_after=NOW + DAY)
    chain = build_chain(asked.csr, [own])
    assert chain.root == own
    assert chain.ca_pem == chain.pem == pem(own)
    verify(chain, asked.csr, LEAF, now=NOW, roots=[own])
    assert "OK" in openssl_verify(chain, tmp_path)


def test_a_self_signed_certificate_needs_no_subject() -> None:
    asked = request(Names(dns_names=("example.com",)))
    own = self_sign(asked.csr, asked.key, LEAF, not_before=NOW, not_after=NOW + DAY)
    verify(build_chain(asked.csr, [own]), asked.csr, LEAF, now=NOW)


def test_self_signing_with_another_key_is_refused() -> None:
    with pytest.raises(PkiError, match="the private key is not the one of the certificate signing request"):
        self_sign(request().csr, key_of(P256, 1), LEAF, not_before=NOW, not_after=NOW + DAY)


def test_serial_numbers_are_random_positive_and_of_at_most_20_octets() -> None:
    root, asked = authority(), request()
    serials = {issue(root, asked).leaf.serial_number for _ in range(50)}
    assert len(serials) == 50
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials).bit_length() > 128


def test_a_certificate_outlives_no_ca_above_it() -> None:
    root = authority(days=(-30, 40))
    assert root.not_after == NOW + 40 * DAY
    below = authority("Test Intermediate", parent=root, days=(-10, 1000))
    assert below.certificate.not_valid_after_utc == root.not_after
    leaf = issue(below, request(), days=90).leaf
    assert leaf.not_valid_after_utc == root.not_after


def test_a_ca_that_outlives_its_issuer_still_signs_no_longer_than_that() -> None:
    # Such CAs exist: this one was made with the root's key, by hand.
    root = authority(days=(-30, 40))
    key = key_of(P256, 2)
    builder = x509.CertificateBuilder(root.certificate.subject, x509.Name([]), key.public_key(), 1)
    own = (
        builder.not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 1000 * DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(root.key, root.certificate.signature_hash_algorithm)  # type: ignore[arg-type]
    )
    ca = load_authority(to_pem((own,)), private_key_pem(key), to_pem((root.certificate,)))
    assert ca.not_after == root.not_after
    assert sign(ca, request().csr, LEAF, not_before=NOW, not_after=NOW + 90 * DAY).not_valid_after_utc == root.not_after


def test_what_is_wrong_with_a_ca_is_told_with_the_key_of_its_secret() -> None:
    root, other = authority(), authority("Other")
    above = authority("Above", parent=root)
    below = authority("Below", parent=above)
    pair = to_pem((below.certificate,)), private_key_pem(below.key)
    for given, words in (
        ((pair[0], b"junk"), "^tls.key: "),
        ((b"junk", pair[1]), "^tls.crt: "),
        ((*pair, b"junk"), "^ca.crt: "),
        ((pair[0], private_key_pem(root.key)), "^tls.key: it is not the key of a certificate in tls.crt: give the key"),
        # The certificate of who issued it is missing, or those of quite another CA are there.
        ((*pair, to_pem((root.certificate,))), "nothing in ca.crt belongs to the CA, whose chain ends at .*Above"),
        ((*pair, to_pem((other.certificate,))), "add the certificates from there up to the root$"),
    ):
        with pytest.raises(PkiError, match=words):
            load_authority(*given)
    assert load_authority(*pair, to_pem((above.certificate, root.certificate))).root == root.certificate


def test_an_expired_ca_and_one_not_yet_valid_sign_nothing() -> None:
    root = authority(days=(-30, 40))
    assert root.valid_at(NOW)
    assert not root.valid_at(NOW + 41 * DAY)
    assert not root.valid_at(NOW - 31 * DAY)
    for start in (NOW + 40 * DAY, NOW - 90 * DAY):
        with pytest.raises(PkiError, match="nothing can be signed: the CA is valid from 2041-04-04"):
            sign(root, request().csr, LEAF, not_before=start, not_after=start + timedelta(hours=1))


@pytest.mark.parametrize(
    ("above", "asked", "words"),
    [
        (0, None, "has the path length 0: it allows no further CA here"),
        (1, 1, "has the path length 1: it allows a path length of at most 0 here"),
    ],
)
def test_a_ca_certifies_no_ca_beyond_its_path_length(above: int, asked: int | None, words: str) -> None:
    root = authority(profile=Profile(is_ca=True, path_length=above))
    profile = Profile(is_ca=True, path_length=asked)
    with pytest.raises(PkiError, match=words):
        sign(root, request(WWW, profile).csr, profile, not_before=NOW, not_after=NOW + DAY)


def test_the_path_length_of_the_root_counts_two_levels_down(tmp_path: Path) -> None:
    root = authority(profile=Profile(is_ca=True, path_length=2))
    below = authority("Second", parent=root)
    profile = Profile(is_ca=True, path_length=0)
    third = issue(below, request(Names(common_name="Third"), profile))
    assert "OK" in openssl_verify(third, tmp_path)
    with pytest.raises(PkiError, match='"CN=Test Root,O=Example Ltd,C=DE" has the path length 2: it allows a path'):
        issue(below, request(Names(common_name="Third"), Profile(is_ca=True, path_length=1)))


def test_openssl_enforces_the_name_constraints_that_we_write(tmp_path: Path) -> None:
    limits = NameConstraints(
        permitted=Subtrees(dns_domains=("example.com",), ip_ranges=("10.0.0.0/8",)),
        excluded=Subtrees(dns_domains=("secret.example.com",)),
    )
    ca = authority("Limited", parent=authority(), profile=Profile(is_ca=True, name_constraints=limits))
    inside = issue(ca, request(Names(dns_names=("www.example.com",), ip_addresses=("10.1.2.3",))))
    assert "OK" in openssl_verify(inside, tmp_path)
    outside = issue(ca, request(Names(dns_names=("www.example.org",))))
    with pytest.raises(AssertionError, match="permitted subtree violation"):
        openssl_verify(outside, tmp_path)


def test_the_order_of_the_secret_does_not_matter_and_strangers_are_dropped() -> None:
    root = authority()
    middle = authority("Middle", parent=root)
    low = authority("Low", parent=middle)
    stranger = authority("Stranger")
    shuffled = to_pem((middle.certificate, stranger.certificate, low.certificate))
    again = load_authority(shuffled, private_key_pem(low.key), to_pem((stranger.certificate, root.certificate)))
    assert again.chain == (low.certificate, middle.certificate)
    assert again.root == root.certificate


def test_a_root_may_be_unknown() -> None:
    low = authority("Low", parent=authority())
    again = load_authority(to_pem(low.chain), private_key_pem(low.key))
    assert again.root is None
    assert again.certificates == low.chain


def test_a_certificate_that_is_no_ca_is_refused() -> None:
    chain = issue(authority(), request())
    with pytest.raises(PkiError, match=r'"CN=www\.example\.com" is not a CA certificate'):
        load_authority(chain.pem, private_key_pem(request().key))


def test_a_ca_that_may_not_sign_is_refused() -> None:
    key = key_of(P256, 3)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Mute")])
    usage = x509.KeyUsage(True, False, False, False, False, False, True, False, False)
    own = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(usage, True)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(PkiError, match='"CN=Mute" may not sign certificates: its key usage lacks keyCertSign'):
        load_authority(to_pem((own,)), private_key_pem(key))


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(PkiError, match=r"^tls.key: it is not the key of a certificate in tls.crt"):
        load_authority(to_pem(authority().chain), private_key_pem(key_of(P256)))


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_a_secret_that_holds_rubbish_is_refused(which: str) -> None:
    ca = authority()
    certificate, key = to_pem(ca.chain), private_key_pem(ca.key)
    with pytest.raises(PkiError, match="no certificate" if which == "certificate" else "not a private key"):
        load_authority(b"x" if which == "certificate" else certificate, b"x" if which == "key" else key)


def test_the_key_is_not_in_the_representation() -> None:
    ca = authority()
    assert "key" not in repr(ca).lower()
