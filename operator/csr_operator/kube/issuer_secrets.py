"""Secrets that an issuer writes: the private key of its account at a CA, a revocation list for others to read."""

import asyncio
import base64
from collections.abc import Callable, Mapping

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import SecretKey
from csr_operator.api.names import GROUP, MANAGED_LABEL
from csr_operator.plugin.errors import Misconfigured, Retryable

from .errors import KubeError
from .objects import Object, secret_data
from .secrets import Secrets

_WRITER_ANNOTATION = f"{GROUP}/published-by"
_ATTEMPTS = 5
_LARGE = 64 * 1024
"""In bytes: what is larger takes the time of a thread, and not of the loop."""

Change = Callable[[Mapping[str, bytes]], Mapping[str, bytes]]


def is_written_by(secret: Object, issuer: Issuer) -> bool:
    """The operator wrote the Secret for this issuer."""
    return (secret["metadata"].get("annotations") or {}).get(_WRITER_ANNOTATION) == f"{issuer.kind}/{issuer.name}"


async def write_issuer_secret(secrets: Secrets, key: SecretKey, issuer: Issuer, change: Change) -> None:
    """Write `change` of the data so far; again if somebody else was faster.

    Raises Misconfigured if the Secret is not this issuer's, Retryable if others are always faster.
    """
    whose = f"{issuer.kind}/{issuer.name}"
    for _ in range(_ATTEMPTS):
        existing = await secrets.get(key)
        metadata = existing["metadata"] if existing is not None else {}
        if existing is not None and not is_written_by(existing, issuer):
            raise Misconfigured(
                f"Secret {key.namespace}/{key.name} is not the issuer's to write: name another one, or none that exists"
            )
        before = secret_data(existing) if existing is not None else {}
        large = sum(map(len, before.values())) > _LARGE
        after = await asyncio.to_thread(change, before) if large else change(before)
        if after == before:
            return
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "labels": {MANAGED_LABEL: "true"},
                "annotations": {_WRITER_ANNOTATION: whose},
                **({"resourceVersion": metadata["resourceVersion"]} if existing is not None else {}),
            },
            "type": "Opaque",
            "data": {name: base64.b64encode(value).decode() for name, value in after.items()},
        }
        try:
            await secrets.apply(key, body, new=existing is None)
            return
        except KubeError as error:
            if error.status != 409:
                raise Retryable(f"Secret {key.namespace}/{key.name}: {error}") from None
    raise Retryable(f"Secret {key.namespace}/{key.name} keeps being changed by others")
