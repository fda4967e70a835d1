"""Digests of values that stay the same where nothing changes that matters."""

import hashlib
import json
from collections.abc import Container
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any

from .keys import SecretKeyRef


def essence_of(value: Any, without: Container[str] = ()) -> Any:
    """A value without what equals its default, with sequences in a fixed order, fit for JSON.

    without: fields that do not count.
    """
    if is_dataclass(value):
        essence = {}
        for f in fields(value):
            if f.name in without:
                continue
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if (part := getattr(value, f.name)) != default:
                essence[f.name] = essence_of(part)
        return essence
    if isinstance(value, SecretKeyRef):
        return list(value)
    if isinstance(value, tuple):
        return sorted((essence_of(v) for v in value), key=repr)
    return value.hex() if isinstance(value, bytes) else value


@lru_cache(maxsize=1024)
def template_digest(labels: tuple[tuple[str, str], ...], annotations: tuple[tuple[str, str], ...]) -> str:
    """Of the labels and annotations that a user wants on the Secret."""
    # Most requests have none, or the same as others.
    return digest_of([sorted(labels), sorted(annotations)])


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of what JSON can hold, whatever the order of its maps."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
