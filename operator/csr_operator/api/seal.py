"""Message authentication codes for what the operator keeps where others can write: HMAC-SHA-256 (RFC 2104).

Without a code that verifies, what stands in an annotation is as good as absent: who wrote it may be anybody. What each
code covers stands here, so that reading and writing agree.
"""

import base64
import hmac
from collections.abc import Mapping, Sequence

from .keys import SecretKey
from .names import RECORD_ANNOTATIONS, STAGED_ANNOTATIONS


class Seal:
    """keys: the first one seals, all of them verify; none before the operator has read them."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = tuple(keys)

    def use(self, keys: Sequence[bytes]) -> None:
        """From now on."""
        self._keys = tuple(keys)

    def code(self, purpose: str, *parts: str) -> str:
        """The code of `parts`, which holds for this purpose alone: 43 characters of base64url."""
        return _code(self._keys[0], purpose, parts)

    def verifies(self, code: str, purpose: str, *parts: str) -> bool:
        """Whether `code` is that of `parts` by a key that is accepted."""
        given = code.encode(errors="replace")
        return any(hmac.compare_digest(_code(key, purpose, parts).encode(), given) for key in self._keys)


def _code(key: bytes, purpose: str, parts: Sequence[str]) -> str:
    # With the length of each part, so that no two lists of parts are the same text.
    text = "".join([f"{len(part)}:{part}" for part in (purpose, *parts)])
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def record_parts(secret: SecretKey, annotations: Mapping[str, str]) -> tuple[str, ...]:
    """What the code of a record covers: whose it is, and every value. No UID, which a restored backup has anew."""
    return (*secret, *_values(annotations, RECORD_ANNOTATIONS))


def staged_parts(secret: SecretKey, owner_uid: str, annotations: Mapping[str, str]) -> tuple[str, ...]:
    """What the code of a staging Secret covers; it dies with its request, whose UID is `owner_uid`."""
    return (*secret, owner_uid, *_values(annotations, STAGED_ANNOTATIONS))


def _values(annotations: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(annotations.get(name, "") for name in names)
