"""A proof is good for one certificate, and only who has its key can make it."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.keys import KeyParameters
from csr_operator.pki.possession import prove, proves
from tests.pki.support import ED25519, ML_DSA, P256, P521, RSA, Request, authority, issue, key_of, request


def certificate_for(asked: Request) -> x509.Certificate:
    return issue(authority(), asked).leaf


@pytest.mark.parametrize("parameters", [P256, P521, RSA, ED25519, *ML_DSA])
def test_who_has_the_key_proves_it(parameters: KeyParameters) -> None:
    asked = request(parameters=parameters)
    certificate = certificate_for(asked)
    assert proves(prove(asked.key, certificate), certificate)


def test_a_proof_is_for_one_certificate() -> None:
    asked = request()
    first, second = certificate_for(asked), certificate_for(asked)
    assert not proves(prove(asked.key, first), second)


def test_another_key_proves_nothing() -> None:
    certificate = certificate_for(request())
    assert not proves(prove(key_of(P256, 1), certificate), certificate)


def test_the_csr_that_a_certificate_was_issued_for_is_no_proof() -> None:
    """Others may have seen that."""
    asked = request()
    assert not proves(asked.csr.public_bytes(Encoding.DER), certificate_for(asked))


@pytest.mark.parametrize("damaged", [b"", b"\x30\x00", b"nonsense"])
def test_what_cannot_be_read_proves_nothing(damaged: bytes) -> None:
    assert not proves(damaged, certificate_for(request()))
