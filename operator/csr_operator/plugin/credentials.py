"""Credentials are in Secrets, which users make: what is missing in one is told in the same words everywhere."""

from collections.abc import Mapping

from csr_operator.api.names import CREDENTIAL_TYPE

from .context import Context
from .errors import Misconfigured, SecretNotFound


async def read(
    context: Context, name: str, field: str, keys: Mapping[str, str], remedy: str = ""
) -> Mapping[str, bytes]:
    """The data of the Secret `name`, with something under each of `keys`.

    field: of the issuer's spec, in which the Secret is named. keys: what belongs under each, in words. remedy: what to
    do where there is no such Secret, if that is not plain. Raises SecretNotFound, Misconfigured.
    """
    where = f"{context.secret(name)}, named in {field}"
    data = await context.read_secret(name)
    if data is None:
        contents = " and ".join(f"{what} as {key}" for key, what in keys.items())
        remedy = remedy or f"create it with {contents}, of type {CREDENTIAL_TYPE}, which lets Issuers use it"
        raise SecretNotFound(f"{where}, does not exist: {remedy}")
    for key, what in keys.items():
        if not data.get(key, b"").strip():
            raise Misconfigured(f"{where}: {key} is {'empty' if key in data else 'missing'}: put {what} there")
    return data


async def read_texts(context: Context, name: str, field: str, keys: Mapping[str, str]) -> dict[str, str]:
    """As `read`, of what is under `keys` alone: each a line of text, without what is blank around it."""
    data = await read(context, name, field, keys)
    texts = {}
    for key, what in keys.items():
        try:
            texts[key] = data[key].decode().strip()
        except UnicodeDecodeError:
            texts[key] = "\0"
        if not texts[key].isprintable():
            where = f"{context.secret(name)}, named in {field}"
            raise Misconfigured(f"{where}: {key} is no line of text: put {what} there")
    return texts
