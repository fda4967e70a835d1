"""`lexicon`: the DNS services that dns-lexicon knows, each by the name and with the options that it has there.

Lexicon blocks, sets no time limits, and takes credentials from the environment and from files if it finds some there.
So it runs as a process of its own, which ends in time and sees nothing but what the issuer brings.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable
from csr_operator.plugin.schedule import bounded_pause
from csr_operator.plugin.text import mask, redact

from .base import Credentials, require
from .process import MOST_OUTPUT, run
from .resolve import Resolver

PYTHON = "CSR_OPERATOR_LEXICON_PYTHON"
"""Names in the environment the Python that has dns-lexicon, if that is not the operator's own."""

_PROGRAM = Path(__file__).with_name("lexicon_call.py")
_LIMIT = 60.0
_TOGETHER = 20
_TTL = "300"
_ISOLATION = {
    "HOME": "/nonexistent",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_REFUSED = {
    "auto": "name the provider itself",
    "ddns": "use rfc2136",
    "localzone": "it writes files of the operator's, and no zone",
    "oci": "it reads its credentials from files of the operator's",
}


@dataclass(eq=False, slots=True)
class _Change:
    """outcome: not there before it was tried."""

    action: str
    name: str
    value: str = field(repr=False)
    outcome: Mapping[str, Any] | BackendError | None = None


@dataclass(eq=False, slots=True, weakref_slot=True)
class _Account:
    """Many services are told all records of a name at once, after having been asked for them: two changes with one
    account in one zone must not be under way at the same time. So they wait for their turn, and go together then."""

    waiting: list[_Change] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


_accounts: WeakValueDictionary[bytes, _Account] = WeakValueDictionary()
"""By account and zone."""


class Lexicon:
    """Records by one of the providers of dns-lexicon, which runs in a process of its own."""

    def __init__(self, config: Mapping[str, Any], context: Context, resolver: Resolver, field: str) -> None:
        self._provider = require(config, "provider", field, "the name that dns-lexicon has for it, such as cloudflare")
        if why := _REFUSED.get(self._provider):
            raise Misconfigured(f"{field}.provider: {self._provider} is not available here: {why}")
        self._zone = str(config.get("zone") or "").rstrip(".")
        self._secret = Credentials(config, context, field)
        self._options = {name: str(value) for name, value in (config.get("options") or {}).items()}
        if not (ttl := self._options.pop("ttl", _TTL)).isdecimal():
            raise Misconfigured(f"{field}.options.ttl: is not a number of seconds: write one, such as 300")
        self._ttl = int(ttl)
        self._resolver, self._field = resolver, field

    async def present(self, name: str, value: str) -> None:
        await self._change("present", name, value)

    async def withdraw(self, name: str, value: str) -> None:
        await self._change("withdraw", name, value)

    async def _change(self, action: str, name: str, value: str) -> None:
        credentials = await self._credentials()
        job = {
            "provider": self._provider,
            "options": self._checked(self._options | credentials),
            "zone": self._zone or await self._resolver.zone(name),
            "ttl": self._ttl,
        }
        digest = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).digest()
        account = _accounts.setdefault(digest, _Account())
        change = _Change(action, name, value)
        account.waiting.append(change)
        try:
            async with account.turn:
                while change.outcome is None:
                    await self._carry_out(account.waiting[:_TOGETHER], job)
                    account.waiting[:] = [pending for pending in account.waiting if pending.outcome is None]
        finally:
            if change in account.waiting:
                account.waiting.remove(change)
        self._judge(change.outcome, job["zone"], credentials)

    async def _carry_out(self, changes: Sequence[_Change], job: Mapping[str, Any]) -> None:
        """Settles the first at least."""
        listed = [{"action": entry.action, "name": entry.name, "value": entry.value} for entry in changes]
        stdin = json.dumps({**job, "changes": listed}).encode()
        python = os.environ.get(PYTHON) or sys.executable
        outcomes: Sequence[Mapping[str, Any] | BackendError]
        try:
            reads = [_PROGRAM, *_installation(Path(python))]
            done = await run([python, "-I", _PROGRAM], environment=_ISOLATION, reads=reads, stdin=stdin, limit=_LIMIT)
            outcomes = json.loads(done.output)
        except BackendError as error:
            outcomes = [error] * len(changes)
        except OSError as error:
            outcomes = [Retryable(f"{python} cannot be run: {error.strerror}")] * len(changes)
        except ValueError:
            # The last line has what went wrong. It is cut afterwards, so that no part of a secret is left.
            last = done.errors.decode(errors="replace").strip().rpartition("\n")[2]
            reason = mask(last, job["options"].values(), cut=len(done.errors) >= MOST_OUTPUT)
            text = f"ended with status {done.status}: {reason[-400:]}"
            outcomes = [{"error": "failed", "text": text}] * len(changes)
        for change, outcome in zip(changes, outcomes, strict=False):
            change.outcome = outcome

    async def _credentials(self) -> dict[str, str]:
        secret = self._secret
        try:
            return {name: value.decode().strip() for name, value in (await secret.data()).items()}
        except UnicodeDecodeError:
            raise Misconfigured(f"{secret.field}: {secret.secret} holds something that is not text") from None

    def _checked(self, options: Mapping[str, str]) -> Mapping[str, str]:
        """Refuses what would have Lexicon read files of the operator's."""
        for name, value in options.items():
            if value.startswith("file::") or name.endswith("_file"):
                raise Misconfigured(
                    f"{self._field}: {name} names a file, and none is read: put what it holds, as Lexicon "
                    "takes it after base64::, into the Secret"
                )
        if self._provider == "transip" and not options.get("auth_api_key", "").startswith("base64::"):
            raise Misconfigured(f"{self._field}: put auth_api_key, as base64:: and the key in base64, into the Secret")
        if self._provider == "powerdns" and not options.get("pdns_server", "").startswith(("http://", "https://")):
            raise Misconfigured(
                f"{self._field}: set pdns_server to the URL of PowerDNS, such as https://pdns.example.com"
            )
        return options

    def _judge(self, outcome: Mapping[str, Any] | BackendError, zone: str, credentials: Mapping[str, str]) -> None:
        if isinstance(outcome, BackendError):
            raise type(outcome)(f"{self._provider}: {outcome}")
        text = redact(outcome.get("text", ""), credentials.values(), cut=bool(outcome.get("cut")))
        match outcome.get("error"):
            case None:
                return
            case "missing":
                raise Misconfigured(f"{self._field}: dns-lexicon is missing ({text}): install csr-operator[lexicon]")
            case "provider":
                raise Misconfigured(f"{self._field}.provider: {text}")
            case "options":
                also = f", or {self._secret.secret}" if self._secret.name else ""
                raise Misconfigured(f"{self._field}.options{also}: holds what {self._provider} does not know: {text}")
            case "credentials":
                raise Misconfigured(
                    f"{self._field}: {self._provider} refuses the credentials, or they do not reach the zone {zone}: "
                    + text
                )
            case _:
                raise Retryable(f"{self._provider}: {text}", bounded_pause(outcome.get("after")))


def _installation(python: Path) -> list[Path]:
    """The interpreter, and the virtual environment that it belongs to."""
    around = python.parent.parent
    return [python, around] if (around / "pyvenv.cfg").is_file() else [python]
