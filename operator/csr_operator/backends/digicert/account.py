"""Whether an account at CertCentral has what its issuer names, and if not, what it has instead."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from csr_operator.plugin.backend import Health
from csr_operator.plugin.errors import Misconfigured, Retryable
from csr_operator.plugin.fresh import Fresh
from csr_operator.plugin.text import redact

from .client import Client

_PAGE, _LONGEST = 1000, 100
_SHOWN = 20


class AccountCheck:
    """config: `spec.digicert`. clock: in UTC."""

    def __init__(self, client: Client, config: Mapping[str, Any], clock: Callable[[], datetime]) -> None:
        self._client, self._config = client, config
        self._product = str(config["product"])
        self._looked = Fresh(self._look, client.key, clock)

    async def health(self) -> Health:
        """Raises BackendError."""
        return await self._looked.found()

    async def _look(self) -> Health:
        products = await self._listed("product", "products", "name_id", self._product)
        _must_be_among(self._product, products, "spec.digicert.product", "products")
        text = f"orders {products.get(self._product) or self._product}"
        for field, path, members in (
            ("organizationId", "organization", "organizations"),
            ("containerId", "container", "containers"),
        ):
            if (wanted := self._config.get(field)) is None:
                continue
            try:
                known = await self._listed(path, members, "id", str(wanted))
            except Misconfigured:
                continue  # a key that is restricted to orders may not list them; an order will tell
            _must_be_among(str(wanted), known, f"spec.digicert.{field}", members)
            text += f" for {known[str(wanted)]}" if known.get(str(wanted)) else ""
        return Health(text)

    async def _listed(self, path: str, members: str, identifier: str, wanted: str) -> dict[str, str]:
        """Names by identifier: all, or those up to the one that is wanted."""
        names: dict[str, str] = {}
        if path == "product":  # comes in one piece
            answer = await self._client.get(path)
            return _names(answer.get(members) if isinstance(answer, dict) else None, members, identifier)
        async for page in self._client.pages(path, members, {}, _PAGE):
            names |= _names(page, members, identifier)
            if wanted in names:
                break
        return names


def _names(listed: Any, members: str, identifier: str) -> dict[str, str]:
    try:
        return {redact(entry[identifier]): redact(entry.get("name") or "")[:_LONGEST] for entry in listed}
    except (KeyError, TypeError, AttributeError):
        raise Retryable(f"DigiCert's list of {members} is not of the published form") from None


def _must_be_among(wanted: str, known: Mapping[str, str], field: str, what: str) -> None:
    if wanted in known:
        return
    have = [f"{identifier} ({name})" if name else identifier for identifier, name in sorted(known.items())]
    if len(have) > _SHOWN:
        have[_SHOWN:] = [f"and {len(have) - _SHOWN} more"]
    listed = ", ".join(have) or "none"
    raise Misconfigured(f"{field}: DigiCert has no {wanted} for this API key; the account's {what}: {listed}")
