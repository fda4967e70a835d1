"""Digests of values that stay the same where nothing changes that matters."""

import hashlib
import json
from collections.abc import Container
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, lru_cache
from typing import Any

from .keys import SecretKeyRef


def essence_of(value: Any, without: Container[str] = ()) -> Any:
    """A value without what equals its default, with sequences in a fixed order, fit for JSON.

    without: fields that do not count.
    """
    kind = type(value)
    if kind is str:
        return value
    if kind is tuple:
        parts = [essence_of(v) for v in value]
        return sorted(parts, key=repr) if len(parts) > 1 else parts
    if kind is SecretKeyRef:
        return list(value)
    if is_dataclass(kind):
        essence = {}
        for name, default in _defaults_of(kind):
            # Most fields have their default, and of most of these it is the very same object.
            if (part := getattr(value, name)) is not default and name not in without and part != default:
                essence[name] = essence_of(part)
        return essence
    return value.hex() if kind is bytes else value


@cache
def _defaults_of(kind: type) -> tuple[tuple[str, Any], ...]:
    """Of each field of such a dataclass, which is frozen, so that its values can be shared."""
    return tuple((f.name, f.default_factory() if f.default_factory is not MISSING else f.default) for f in fields(kind))


@lru_cache(maxsize=1024)
def template_digest(labels: tuple[tuple[str, str], ...], annotations: tuple[tuple[str, str], ...]) -> str:
    """Of the labels and annotations that a user wants on the Secret."""
    # Most requests have none, or the same as others.
    return digest_of([sorted(labels), sorted(annotations)])


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of what JSON can hold, whatever the order of its maps."""
    return hashlib.sha256(_SORTED.encode(value).encode()).hexdigest()


_SORTED = json.JSONEncoder(sort_keys=True)
