"""What a provider of DNS records is, and how it gets at its credentials."""

from collections.abc import Mapping
from typing import Any, Protocol

from csr_operator.plugin import credentials
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured

from .resolve import Resolver


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


class MakeProvider(Protocol):
    """How a provider is made: its class has this as constructor. An issuer's is made anew whenever its spec changes."""

    def __call__(self, config: Mapping[str, Any], context: Context, resolver: Resolver, field: str, /) -> Provider:
        """Raises Misconfigured, which names the field below `field` and what to write there. No I/O.

        config: what stands in the issuer under the provider's name, with the properties of its schema; admission may
        have let other values through. context: Secrets of the issuer's namespace, read when a record is written, and
        HTTP. resolver: the zone of a name (`zone`), and whether a record is seen already (`propagated`). field: the
        place of `config` in the issuer, for messages, such as `spec.acme.solvers[0].dns01.webhook`.
        """
        ...


def require(config: Mapping[str, Any], key: str, field: str, what: str) -> Any:
    """`config[key]`; Misconfigured says that `what` belongs there."""
    if not (value := config.get(key)):
        raise Misconfigured(f"{field}.{key}: is missing; write {what}")
    return value


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
        if not self.name:
            return {}
        return await credentials.read(self._context, self.name, self.field, {}, "create it")


async def read_secret_key(context: Context, reference: Mapping[str, Any], field: str, what: str) -> bytes:
    """The value that `reference` (`name` and `key`) names. what: belongs there."""
    name, key = require(reference, "name", field, "the name of a Secret"), require(reference, "key", field, "its key")
    return (await credentials.read(context, name, field, {key: what}))[key]
