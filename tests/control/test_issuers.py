"""Issuers whose spec came in past admission, as from another version of its definition: what is wrong, and where."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.control.parts import Parts, running

KEY = {"privateKeySecretRef": {"name": "account"}}
WITH_SERVER = {"server": "https://ca.example.com/directory", **KEY}
UNREADABLE = "it cannot be read: write it as `kubectl explain` shows"


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running() as parts:
        yield parts


@pytest.mark.parametrize(
    ("backend", "config", "told"),
    [
        ("acme", {}, "spec.acme.privateKeySecretRef.name: it is missing: name the Secret"),
        ("acme", {"privateKeySecretRef": {}}, "spec.acme.privateKeySecretRef.name: it is missing: name the Secret"),
        ("acme", {"privateKeySecretRef": 5}, f"spec.acme.privateKeySecretRef: {UNREADABLE}"),
        ("acme", {"privateKeySecretRef": {"name": 5}}, f"spec.acme.privateKeySecretRef.name: {UNREADABLE}"),
        ("acme", KEY, "spec.acme.server: it is missing: write"),
        ("acme", {"server": 5, **KEY}, f"spec.acme.server: {UNREADABLE}"),
        ("acme", {**WITH_SERVER, "caBundle": 5}, f"spec.acme: {UNREADABLE}"),
        ("acme", {**WITH_SERVER, "solvers": 5}, f"spec.acme: {UNREADABLE}"),
        (
            "acme",
            {**WITH_SERVER, "externalAccountBinding": {}},
            "spec.acme.externalAccountBinding.keySecretRef.name: it is missing: name the Secret",
        ),
        (
            "acme",
            {**WITH_SERVER, "externalAccountBinding": {"keySecretRef": {"name": "eab"}}},
            "spec.acme.externalAccountBinding.keyID: it is missing: write",
        ),
        ("ca", {"secretName": 5}, "spec.ca: the name of a Secret in it is not text"),
        ("ca", {"secretName": "ca", "crl": 5}, f"spec.ca: {UNREADABLE}"),
        ("manual", {"caBundle": 5}, f"spec.manual: {UNREADABLE}"),
        ("digicert", {"product": "ssl_basic", "secretName": "key", "caBundle": []}, "Secret "),
        ("sectigo", {"login": 5}, f"spec.sectigo: {UNREADABLE}"),
    ],
)
async def test_what_is_odd_is_told_with_its_field(parts: Parts, backend: str, config: Any, told: str) -> None:
    known = await parts.add_issuer("odd", **{backend: config})
    assert known.state is not None
    assert known.state.message.startswith(told)
