"""What a provider of DNS records is, and how it gets at its credentials."""

from collections.abc import Mapping
from typing import Any, Protocol

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, SecretNotFound


class Provider(Protocol):
    """Writes TXT records into zones. Called concurrently.

    name: fully qualified, without the final dot, and no alias of another (`Resolver.target`). value: ASCII, in one
    piece. Both methods raise BackendError.
    """

    async def present(self, name: str, value: str) -> None:
        """Have a TXT record `value` at `name`, beside what else is there; there already counts as done."""
        ...

    async def withdraw(self, name: str, value: str) -> None:
        """Remove that one record and leave the others; gone already counts as done."""
        ...


def required(config: Mapping[str, Any], key: str, field: str, what: str) -> Any:
    """`config[key]`; Misconfigured says that `what` belongs there."""
    if not (value := config.get(key)):
        raise Misconfigured(f"{field}.{key}: is missing; write {what}")
    return value


async def secret(context: Context, name: str, field: str) -> Mapping[str, bytes]:
    """The data of the Secret that `field` names."""
    data = await context.read_secret(name)
    if data is None:
        raise SecretNotFound(f"{field}: {context.secret(name)} does not exist: create it")
    return data


class Credentials:
    """What `credentialsSecretRef` of a provider names. name: of the Secret; empty if there is none."""

    def __init__(self, config: Mapping[str, Any], context: Context, field: str) -> None:
        self.name = (config.get("credentialsSecretRef") or {}).get("name") or ""
        self._context, self.field = context, f"{field}.credentialsSecretRef"

    @property
    def secret(self) -> str:
        """What a message calls it."""
        return self._context.secret(self.name)

    async def data(self) -> Mapping[str, bytes]:
        """Empty without a Secret."""
        return await secret(self._context, self.name, self.field) if self.name else {}


async def secret_key(context: Context, reference: Mapping[str, Any], field: str) -> bytes:
    """The value that `reference` (`name` and `key`) names."""
    name, key = required(reference, "name", field, "the name of a Secret"), required(reference, "key", field, "its key")
    value = (await secret(context, name, field)).get(key)
    if value is None:
        raise Misconfigured(f"{field}: {context.secret(name)} has nothing under the key {key}: add it")
    if not value:
        raise Misconfigured(f"{field}: {context.secret(name)}: what is under the key {key} is empty: write it")
    return value
