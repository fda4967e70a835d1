"""The key that the operator's state is authenticated with, in a Secret of its own namespace."""

import base64
import binascii
import logging
from collections.abc import Mapping
from secrets import token_bytes

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import STATE_KEY
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object, secret_data
from csr_operator.kube.secrets import Secrets

logger = logging.getLogger(__name__)

_LENGTH = 32
"""Bytes, as many as the digest has (RFC 2104, section 3)."""

_ATTEMPTS = 5


class UnusableKey(Exception):
    """The Secret cannot be read, made or used; the text says what to do."""


async def read_state_keys(secrets: Secrets, namespace: str) -> list[bytes]:
    """The keys to seal and verify with: `key`, which is made if it is not there, and whatever else is in the Secret.

    Raises UnusableKey, and KubeError and Unreachable where trying again is all there is to do.
    """
    where = SecretKey(namespace, STATE_KEY)
    try:
        for _ in range(_ATTEMPTS):
            existing = await secrets.get(where)
            data = secret_data(existing) if existing is not None else {}
            if "key" in data:
                names = ["key", *sorted(data.keys() - {"key"})]
                return [_checked(data, name, where) for name in names]
            if existing is None:
                logger.info("Secret %s: it does not exist yet, and is made with a new key", where.name)
            else:
                logger.info("Secret %s: a new key is made; older keys that stay valid: %d", where.name, len(data))
            fresh = {"key": token_bytes(_LENGTH), **data}
            body: Object = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": where.name, "namespace": where.namespace},
                "type": "Opaque",
                "data": {name: base64.b64encode(value).decode() for name, value in fresh.items()},
            }
            if existing is not None:
                body["metadata"]["resourceVersion"] = existing["metadata"]["resourceVersion"]
            try:
                await secrets.apply(where, body, new=existing is None)
            except KubeError as error:
                if error.status != 409:
                    raise
            # Another process may have been faster: what is there is what counts.
    except (KubeError, binascii.Error) as error:
        if isinstance(error, KubeError) and error.may_pass:
            raise
        raise UnusableKey(
            f"Secret {where.name} in namespace {where.namespace}, which the operator's state is authenticated with, "
            f"cannot be read or made: {error}: create the namespace, and give the operator the rights of deploy/; "
            "POD_NAMESPACE names another one"
        ) from None
    raise UnusableKey(f"Secret {where.name} in namespace {where.namespace} keeps being changed by others")


def _checked(data: Mapping[str, bytes], name: str, where: SecretKey) -> bytes:
    if len(data[name]) < _LENGTH:
        raise UnusableKey(
            f"Secret {where.name} in namespace {where.namespace}: {name} is shorter than {_LENGTH} bytes: remove that "
            "entry, and the operator makes another key"
        )
    return data[name]
