"""JSON Web Keys and Signatures as ACME uses them (RFC 7515, 7517, 7638, 8037; RFC 8555, section 6.2)."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AccountKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES: Mapping[str, tuple[str, str, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("P-256", "ES256", hashes.SHA256(), 32),
    "secp384r1": ("P-384", "ES384", hashes.SHA384(), 48),
    "secp521r1": ("P-521", "ES512", hashes.SHA512(), 66),
}


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What a CA gave a customer to bind an ACME account to theirs (RFC 8555, section 7.3.4). hmac_key: base64url."""

    key_id: str
    hmac_key: str = field(repr=False)


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64url_decode(text: str) -> bytes:
    """Padding may be there or not; ValueError if it is not base64url."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def jwk(key: AccountKey) -> dict[str, str]:
    """The public key."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        name, _, _, size = _CURVES[key.curve.name]
        point = key.public_key().public_numbers()
        x, y = (b64url(part.to_bytes(size)) for part in (point.x, point.y))
        return {"crv": name, "kty": "EC", "x": x, "y": y}
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": b64url(raw)}


def thumbprint(key: AccountKey) -> str:
    """RFC 7638, base64url."""
    return b64url(hashlib.sha256(_json(jwk(key), ordered=True)).digest())


def sign(key: AccountKey, protected: Mapping[str, Any], payload: bytes) -> dict[str, str]:
    """A flattened JWS; `alg` is added to the protected header."""
    return _jws({"alg": _algorithm(key), **protected}, payload, lambda data: _sign(key, data))


def bind(external: ExternalAccount, key: AccountKey, url: str) -> dict[str, str]:
    """The externalAccountBinding for a newAccount request to `url`. ValueError if the key is not base64url."""
    secret = b64url_decode(external.hmac_key)

    def mac(data: bytes) -> bytes:
        code = hmac.HMAC(secret, hashes.SHA256())
        code.update(data)
        return code.finalize()

    return _jws({"alg": "HS256", "kid": external.key_id, "url": url}, _json(jwk(key)), mac)


def _jws(protected: Mapping[str, Any], payload: bytes, signer: Any) -> dict[str, str]:
    head, body = b64url(_json(protected)), b64url(payload)
    return {"protected": head, "payload": body, "signature": b64url(signer(f"{head}.{body}".encode()))}


def _algorithm(key: AccountKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    return _CURVES[key.curve.name][1] if isinstance(key, ec.EllipticCurvePrivateKey) else "EdDSA"


def _sign(key: AccountKey, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        _, _, digest, size = _CURVES[key.curve.name]
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size) + s.to_bytes(size)
    return key.sign(data)


def _integer(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8))


def _json(value: Mapping[str, Any], *, ordered: bool = False) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=ordered).encode()
