"""`exec`: a program in the operator's image, out of the one folder that the administrator opened for that.

Whoever may write issuers has such a program run in the operator's pod. So there is none unless the administrator names
a folder; an issuer names a program in it and nothing else; and what comes from its Secret cannot be taken for a
variable that means something to a shell or to the loader.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Retryable
from csr_operator.plugin.text import redact

from .base import Credentials, require
from .process import run
from .resolve import Resolver

_NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX = "DNS_CREDENTIAL_"
_LIMIT = 60.0
_EX_CONFIG = 78  # of sysexits.h


class Exec:
    """Records by a program that the operator's administrator has put into a folder."""

    def __init__(self, config: Mapping[str, Any], context: Context, _: Resolver, field: str) -> None:
        name = require(config, "program", field, "the name of a program")
        if context.programs is None:
            raise Misconfigured(
                f"{field}: the operator runs no programs: have its administrator set --dns-programs to their folder"
            )
        if not _NAME.fullmatch(name):
            raise Misconfigured(f"{field}.program: {name[:100]!r} is not a valid file name: write one without folder")
        self._program = context.programs / name
        self._secret = Credentials(config, context, field)
        self._field = field

    async def present(self, name: str, value: str) -> None:
        await self._run("present", name, value)

    async def withdraw(self, name: str, value: str) -> None:
        await self._run("cleanup", name, value)

    async def _run(self, action: str, name: str, value: str) -> None:
        credentials = await self._credentials()
        program = self._program
        if not (program.is_file() and os.access(program, os.X_OK)):
            raise Misconfigured(
                f"{self._field}.program: the operator has no program {program.name}: there is {_listed(program.parent)}"
            )
        try:
            done = await run(
                [program, action, name, value], environment=credentials, reads=[program.parent], limit=_LIMIT
            )
        except Misconfigured as error:
            raise Misconfigured(f"{self._field}: {error}") from None
        except OSError as error:
            raise Misconfigured(f"{self._field}.program: {program.name} cannot be run: {error.strerror}") from None
        if done.status:
            reason = redact(done.errors.decode(errors="replace"), credentials.values()) or "it did not say why"
            text = f"{program.name} {action} ended with status {done.status}: {reason}"
            raise Misconfigured(f"{self._field}: {text}") if done.status == _EX_CONFIG else Retryable(text)

    async def _credentials(self) -> dict[str, str]:
        """The keys of the Secret as variables of the environment."""
        secret = self._secret
        data = await secret.data()
        if wrong := [key for key, value in data.items() if not _VARIABLE.fullmatch(key) or b"\0" in value]:
            raise Misconfigured(
                f"{secret.field}: {secret.secret} has what fits no variable of the environment ({wrong[0]}): "
                "name keys with letters, digits and underscores, and keep binary values out"
            )
        return {_PREFIX + key: os.fsdecode(value) for key, value in data.items()}


def _listed(folder: Path) -> str:
    try:
        return ", ".join(sorted(file.name for file in folder.iterdir() if _NAME.fullmatch(file.name))) or "none"
    except OSError as error:
        return f"none, as {folder} cannot be read: {error.strerror}"
