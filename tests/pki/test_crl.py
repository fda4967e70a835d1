"""Revocation lists, read by OpenSSL."""

from datetime import timedelta

import pytest
from cryptography import x509

from csr_operator.pki.authority import Authority
from csr_operator.pki.crl import crl_number, is_signed_by, load_crl, revoked, sign_crl
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyParameters
from tests.pki.support import DAY, ED25519, ML_DSA, NOW, P256, P384, RSA, authority
from tests.support.openssl import openssl

KEY_COMPROMISE = x509.ReasonFlags.key_compromise


def sign(
    by: Authority,
    before: x509.CertificateRevocationList | None = None,
    revoke: dict[int, x509.ReasonFlags] | None = None,
    number: int = 1,
) -> x509.CertificateRevocationList:
    return load_crl(
        sign_crl(by, before, number=number, now=NOW, this_update=NOW, next_update=NOW + 7 * DAY, revoke=revoke or {})
    )


@pytest.mark.parametrize("parameters", [P256, RSA, ED25519, *ML_DSA])
def test_each_list_holds_what_the_one_before_held(parameters: KeyParameters) -> None:
    by = authority(parameters=parameters)
    first = sign(by, revoke={1: KEY_COMPROMISE})
    second = sign(by, first, {2: x509.ReasonFlags.unspecified}, number=2)
    assert is_signed_by(second, by)
    assert [serial in revoked(second) for serial in (1, 2, 3)] == [True, True, False]
    assert (crl_number(first), crl_number(second)) == (1, 2)
    entries = {entry.serial_number: entry for entry in second}
    assert entries[1].extensions.get_extension_for_class(x509.CRLReason).value.reason is KEY_COMPROMISE
    assert list(entries[2].extensions) == []  # RFC 5280, 5.3.1: absent rather than unspecified


@pytest.mark.parametrize("parameters", [P256, P384, RSA])
def test_a_list_of_another_key_is_not_vouched_for(parameters: KeyParameters) -> None:
    other = sign(authority(parameters=parameters))
    by = authority()
    assert not is_signed_by(other, by)
    with pytest.raises(PkiError, match="signed by another key"):
        sign(by, other)


@pytest.mark.parametrize("parameters", [P256, RSA, ED25519])
def test_openssl_reads_the_same(parameters: KeyParameters) -> None:
    by = authority(parameters=parameters)
    pem = sign_crl(
        by, None, number=258, now=NOW, this_update=NOW, next_update=NOW + 7 * DAY, revoke={0xAB: KEY_COMPROMISE}
    ).decode()
    assert "crlNumber=0x0102" in openssl("crl", "-noout", "-crlnumber", stdin=pem)
    text = openssl("crl", "-noout", "-text", "-nameopt", "RFC2253", stdin=pem)
    for said in ("Issuer: CN=Test Root,O=Example Ltd,C=DE", "Serial Number: AB", "Key Compromise", "Key Identifier"):
        assert said in text


def test_no_list_outlives_its_ca() -> None:
    by = authority(days=(-30, 1))
    assert sign(by).next_update_utc == by.certificate.not_valid_after_utc
    assert sign(authority()).next_update_utc == NOW + timedelta(days=7)


@pytest.mark.parametrize("damaged", [b"", b"nonsense", b"-----BEGIN X509 CRL-----\nMA==\n-----END X509 CRL-----\n"])
def test_what_is_no_list_is_refused_in_words(damaged: bytes) -> None:
    with pytest.raises(PkiError, match="the revocation list cannot be read"):
        load_crl(damaged)
