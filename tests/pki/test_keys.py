"""Keys: every algorithm, both encodings, and those that are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import (
    KeyAlgorithm,
    KeyEncoding,
    KeyParameters,
    load_private_key,
    parameters_of,
    private_key_der,
    private_key_pem,
    spki_sha256,
)
from tests.pki.support import ED25519, MERSENNE, ML_DSA, P256, P384, P521, RSA, key_of, openssl, rsa_pem

EVERY = [RSA, KeyParameters(KeyAlgorithm.RSA, 3072), P256, P384, P521, ED25519, *ML_DSA]
BY_OPENSSL = [one for one in EVERY if one not in ML_DSA]  # OpenSSL 3.0 knows no ML-DSA


def pem_of(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("parameters", EVERY, ids=str)
@pytest.mark.parametrize("encoding", KeyEncoding)
def test_a_key_comes_back_as_it_was_written(parameters: KeyParameters, encoding: KeyEncoding) -> None:
    key = key_of(parameters)
    again = load_private_key(private_key_pem(key, encoding))
    assert parameters_of(again) == parameters_of(key.public_key()) == parameters.normalized()
    assert spki_sha256(again) == spki_sha256(key.public_key())


@pytest.mark.parametrize(
    ("parameters", "encoding", "header"),
    [
        (RSA, KeyEncoding.PKCS1, "RSA PRIVATE KEY"),
        (P256, KeyEncoding.PKCS1, "EC PRIVATE KEY"),
        (ED25519, KeyEncoding.PKCS1, "PRIVATE KEY"),
        (ML_DSA[0], KeyEncoding.PKCS1, "PRIVATE KEY"),
        *((parameters, KeyEncoding.PKCS8, "PRIVATE KEY") for parameters in EVERY),
    ],
    ids=str,
)
def test_pkcs1_means_the_traditional_form_where_there_is_one(
    parameters: KeyParameters, encoding: KeyEncoding, header: str
) -> None:
    assert private_key_pem(key_of(parameters), encoding).startswith(f"-----BEGIN {header}-----\n".encode())


@pytest.mark.parametrize("parameters", BY_OPENSSL, ids=str)
@pytest.mark.parametrize("encoding", KeyEncoding)
def test_openssl_reads_the_key_and_sees_the_same_public_key(
    parameters: KeyParameters, encoding: KeyEncoding, tmp_path: Path
) -> None:
    key = key_of(parameters)
    (tmp_path / "public.der").touch()
    openssl("pkey", "-pubout", "-outform", "DER", "-out", tmp_path / "public.der", stdin=private_key_pem(key, encoding))
    digest = openssl("dgst", "-sha256", "-r", tmp_path / "public.der")
    assert digest.split()[0] == spki_sha256(key)
    openssl("pkey", "-inform", "DER", "-noout", "-check", stdin=private_key_der(key, encoding))


@pytest.mark.parametrize(
    ("algorithm", "size", "words"),
    [
        (KeyAlgorithm.RSA, 1024, "RSA keys of 1024 bits are not accepted: use 2048 to 8192"),
        (KeyAlgorithm.RSA, 16384, "RSA keys of 16384 bits are not accepted: use 2048 to 8192"),
        (KeyAlgorithm.ECDSA, 192, "ECDSA keys of 192 bits are not accepted: use 256, 384 or 521"),
        (KeyAlgorithm.ED25519, 256, "Ed25519 keys have one size only: leave the size out"),
    ],
)
def test_sizes_that_are_not_accepted_are_named_with_those_that_are(
    algorithm: KeyAlgorithm, size: int, words: str
) -> None:
    with pytest.raises(PkiError, match=words):
        KeyParameters(algorithm, size)


def test_parameters_without_a_size_equal_those_with_the_default() -> None:
    assert KeyParameters(KeyAlgorithm.RSA).normalized() == KeyParameters(KeyAlgorithm.RSA, 2048)
    assert KeyParameters().normalized() == KeyParameters(KeyAlgorithm.ECDSA, 256)
    assert KeyParameters(KeyAlgorithm.ED25519).normalized().size is None


@pytest.mark.filterwarnings("ignore:.*key_size:UserWarning")
@pytest.mark.parametrize(
    ("key", "words"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "RSA keys of 1024 bits"),
        (lambda: rsa.generate_private_key(3, 2048), "public exponent is not accepted: use 65537"),
        (lambda: ec.generate_private_key(ec.SECP192R1()), "curve secp192r1 are not accepted"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "curve secp256k1 are not accepted"),
        (lambda: ec.generate_private_key(ec.BrainpoolP256R1()), "curve brainpoolP256r1 are not accepted"),
        (lambda: ed448.Ed448PrivateKey.generate(), "use one of RSA, ECDSA, Ed25519, ML-DSA-44"),
        (lambda: dsa.generate_private_key(2048), "use one of RSA, ECDSA, Ed25519, ML-DSA-44"),
    ],
)
def test_weak_and_unusual_keys_are_refused(key: Callable[[], PrivateKeyTypes], words: str) -> None:
    with pytest.raises(PkiError, match=words):
        load_private_key(pem_of(key()))


def test_an_encrypted_key_is_refused_with_the_remedy() -> None:
    encrypted = key_of(P256).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(PkiError, match="encrypted: store it without a passphrase"):
        load_private_key(encrypted)


@pytest.mark.parametrize("parameters", BY_OPENSSL, ids=str)
@pytest.mark.parametrize("damage", ["cut", "swapped", "not base64"])
def test_nothing_of_a_damaged_key_is_in_the_error(parameters: KeyParameters, damage: str) -> None:
    lines = private_key_pem(key_of(parameters)).splitlines()
    body = lines[1:-1]
    match damage:
        case "cut":
            lines = [lines[0], *body[:-1], lines[-1]]
        case "swapped":
            lines = [lines[0], *reversed(body), lines[-1]] if len(body) > 1 else [lines[0], body[0][::-1], lines[-1]]
        case _:
            lines = [lines[0], b"*" + body[0], *body[1:], lines[-1]]
    with pytest.raises(PkiError) as caught:
        load_private_key(b"\n".join(lines))
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    for line in body:
        for start in range(0, len(line) - 12, 6):
            assert line[start : start + 12].decode() not in shown


def test_a_key_made_to_burn_time_is_refused_unchecked() -> None:
    """To prove that its primes are primes takes minutes."""
    with pytest.raises(PkiError, match="RSA keys of 19630 bits are not accepted: use 2048 to 8192"):
        load_private_key(rsa_pem(*(2**exponent - 1 for exponent in MERSENNE)))


@pytest.mark.parametrize("part", ["n", "p", "q", "d", "dmp1", "dmq1", "iqmp"])
def test_an_rsa_key_whose_parts_do_not_belong_together_is_refused(part: str) -> None:
    numbers = key_of(RSA).private_numbers()  # type: ignore[union-attr]
    assert isinstance(numbers, rsa.RSAPrivateNumbers)
    whole = numbers.public_numbers.n if part == "n" else getattr(numbers, part)
    load_private_key(rsa_pem(numbers.p, numbers.q))
    with pytest.raises(PkiError, match="the parts of the RSA key do not belong together"):
        load_private_key(rsa_pem(numbers.p, numbers.q, **{part: whole + 2}))


def test_a_file_that_is_no_key_is_refused() -> None:
    with pytest.raises(PkiError, match="not a private key in PEM form"):
        load_private_key(b"hello")
    with pytest.raises(PkiError, match="larger than 16384 bytes"):
        load_private_key(b"x" * 1_000_000)
