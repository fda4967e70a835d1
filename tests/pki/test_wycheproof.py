"""The public keys of Wycheproof (https://github.com/C2SP/wycheproof), by the key policy: which are taken, and as what.

Its signatures are cryptography's to judge; which keys a certificate may be for is ours.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import parameters_of
from tests.support.tools import go_module

pytestmark = pytest.mark.slow("loads vectors with Go")

MODULE = "github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a"
CURVES = {"secp256r1": ("ECDSA", 256), "secp384r1": ("ECDSA", 384), "secp521r1": ("ECDSA", 521)}


@pytest.fixture(scope="module")
def vectors() -> Path:
    return go_module(MODULE) / "testvectors_v1"


def keys(vectors: Path, pattern: str) -> Iterator[tuple[dict[str, object], bytes]]:
    """Each group's key, as DER, with what the group says of it."""
    for file in sorted(vectors.glob(pattern)):
        for group in json.loads(file.read_text())["testGroups"]:
            if "publicKeyDer" in group:
                yield group, bytes.fromhex(group["publicKeyDer"])


def judged(der: bytes) -> tuple[str, int | None] | None:
    """Algorithm and size; None if the policy, or cryptography before it, refuses the key."""
    try:
        parameters = parameters_of(load_der_public_key(der))
    except (PkiError, UnsupportedAlgorithm, ValueError):
        return None
    return parameters.algorithm.value, parameters.size


def test_of_the_elliptic_curves_three_are_taken(vectors: Path) -> None:
    seen: dict[bool, int] = {True: 0, False: 0}
    for group, der in keys(vectors, "ecdsa_*_test.json"):
        public = group["publicKey"]
        assert isinstance(public, dict)
        wanted = CURVES.get(public["curve"])
        assert judged(der) == wanted, public["curve"]
        seen[wanted is not None] += 1
    assert min(seen.values()) > 20


def test_of_the_rsa_keys_those_from_2048_bits_on_are_taken(vectors: Path) -> None:
    seen: dict[bool, int] = {True: 0, False: 0}
    for group, der in keys(vectors, "rsa_*_test.json"):
        size = group.get("keySize")
        public = group["publicKey"]
        assert isinstance(size, int)
        assert isinstance(public, dict)
        strong = 2048 <= size <= 8192 and int(public["publicExponent"], 16) >= 65537
        assert judged(der) == (("RSA", size) if strong else None), (size, public["publicExponent"])
        seen[strong] += 1
    assert min(seen.values()) > 0


@pytest.mark.parametrize("parameter_set", [44, 65, 87])
def test_ml_dsa_keys_are_taken_if_they_are_whole(vectors: Path, parameter_set: int) -> None:
    lengths = {44: 1312, 65: 1952, 87: 2592}
    seen = 0
    for group, der in keys(vectors, f"mldsa_{parameter_set}_verify_test.json"):
        whole = len(str(group["publicKey"])) == 2 * lengths[parameter_set]
        assert judged(der) == ((f"ML-DSA-{parameter_set}", None) if whole else None)
        seen += 1
    assert seen > 0


def test_ed25519_keys_are_taken(vectors: Path) -> None:
    found = [judged(der) for _, der in keys(vectors, "ed25519_test.json")]
    assert len(found) > 10
    assert set(found) == {("Ed25519", None)}
