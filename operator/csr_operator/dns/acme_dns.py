"""`acmeDNS`: an acme-dns server (https://github.com/joohoi/acme-dns), to which `_acme-challenge` names are delegated.

It keeps the two newest values of an account and has no call to remove one, so that nothing is ever withdrawn.
"""

import json
from collections.abc import Mapping
from typing import Any

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable
from csr_operator.plugin.http import Answer, call, trust
from csr_operator.plugin.text import redact

from .base import read_secret_key, require
from .resolve import Resolver

_FIELDS = ("username", "password", "subdomain", "fulldomain")


class AcmeDns:
    """Records by the API of acme-dns (https://github.com/joohoi/acme-dns)."""

    def __init__(self, config: Mapping[str, Any], context: Context, resolver: Resolver, field: str) -> None:
        self._url = str(require(config, "host", field, "the URL of the acme-dns server")).rstrip("/")
        self._reference = require(config, "accountSecretRef", field, "name and key of the Secret with its accounts")
        self._trusted = trust(config.get("caBundle") or "", f"{field}.caBundle")
        self._resolver, self._context, self._field = resolver, context, field

    async def present(self, name: str, value: str) -> None:
        account = await self._account(name)
        # A value that is written twice takes the place of the other one of the two.
        if not await self._resolver.propagated([(name, value)]):
            return
        answer = await call(
            self._context.session(),
            self._trusted,
            "POST",
            f"{self._url}/update",
            headers={"X-Api-User": account["username"], "X-Api-Key": account["password"]},
            body={"subdomain": account["subdomain"], "txt": value},
        )
        if answer.status != 200:
            raise self._failure(answer, account)

    async def withdraw(self, name: str, value: str) -> None:
        """Nothing: a later value takes its place."""

    async def _account(self, name: str) -> Mapping[str, str]:
        """That whose `fulldomain` is `name`."""
        accounts = await self._accounts()
        for account in accounts.values():
            if account["fulldomain"].rstrip(".").lower() == name:
                return account
        for domain, account in accounts.items():
            if name == f"_acme-challenge.{domain.removeprefix('*.')}":
                raise Retryable(f"{name} is not delegated: create there a CNAME record to {account['fulldomain']}")
        raise Misconfigured(
            f"{self._field}.accountSecretRef: no account in {self._context.secret(self._reference['name'])} has the "
            f"fulldomain {name}: register one, and add it"
        )

    async def _accounts(self) -> Mapping[str, Mapping[str, str]]:
        field, what = f"{self._field}.accountSecretRef", "what /register of acme-dns answered"
        try:
            accounts = json.loads(await read_secret_key(self._context, self._reference, field, what))
            if all(isinstance(account[part], str) for account in accounts.values() for part in _FIELDS):
                checked: Mapping[str, Mapping[str, str]] = accounts
                return checked
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise Misconfigured(
            f"{field}: the Secret does not hold a JSON object of accounts by domain, each with {', '.join(_FIELDS)}: "
            f"paste {what}"
        )

    def _failure(self, answer: Answer, account: Mapping[str, str]) -> BackendError:
        reason = redact(answer.body.decode(errors="replace"), [account["password"], account["username"]])
        match answer.status:
            case 401:
                return Misconfigured(
                    f"{self._field}.accountSecretRef: acme-dns refuses the account of {account['fulldomain']}: "
                    "username, password or subdomain is wrong, or its allowfrom lacks the operator's address"
                )
            case 400:
                return Rejected(f"acme-dns refuses the value, as it takes those of 43 characters only ({reason})")
            case 404 | 405 | 301 | 302 | 307 | 308:
                return Misconfigured(f"{self._field}.host: no acme-dns is at {self._url} (HTTP status {answer.status})")
            case status:
                return Retryable(f"acme-dns: HTTP status {status} ({reason})", answer.retry_after)
