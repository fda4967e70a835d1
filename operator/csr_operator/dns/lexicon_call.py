"""Changes by dns-lexicon, as a program of its own: a JSON object on stdin, a list of them on stdout.

In:  {"provider": str, "zone": str, "ttl": int, "options": {str: str},
      "changes": [{"action": "present" | "withdraw", "name": str, "value": str}, ...]}
Out: an object for each change, in order: {} when done, else {"text": str, "after": seconds to wait (0: any),
     "cut": whether there was more of the text, "error": "missing" | "provider" | "options" | "credentials" | "failed"}
     It answers one at least, and begins no other one after half a minute.

It is run by a path, perhaps with another Python than the operator's: it imports nothing but dns-lexicon.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

_PATIENCE = 30.0
_MOST = 2000

Json = dict[str, Any]


def main() -> None:
    """Do what stdin asks for, as JSON, and write the answers to stdout, as JSON."""
    stdout, sys.stdout = sys.stdout, sys.stderr  # a provider may print
    json.dump(_answers(json.load(sys.stdin)), stdout)


def _answers(job: Json) -> list[Json]:
    try:
        from lexicon.client import Client
        from lexicon.config import ConfigResolver
        from lexicon.exceptions import ProviderNotAvailableError
    except ImportError as error:
        return _all(job, "missing", str(error))
    import dns.name
    import dns.resolver

    # Lexicon would ask the system's DNS servers, or download a list of public suffixes, for what is known already.
    setattr(dns.resolver, "zone_for_name", lambda name: dns.name.from_text(job["zone"]))  # noqa: B010
    logged = _Errors()
    logging.basicConfig(level=logging.ERROR, handlers=[logged])
    config = {
        "provider_name": job["provider"],
        "domain": job["zone"],
        "resolve_zone_name": True,
        "ttl": job["ttl"],
        job["provider"]: job["options"],
    }
    try:
        client = Client(ConfigResolver().with_dict(config))  # type: ignore[no-untyped-call]
        parser = argparse.ArgumentParser(add_help=False)
        client.provider_class.configure_parser(parser)
        known = sorted(action.dest for action in parser._actions)
        if unknown := sorted(set(job["options"]) - set(known)):
            return _all(job, "options", f"{', '.join(unknown)}; it knows {', '.join(known)}")
        with client as operations:
            return list(_carry_out(operations, job["changes"], logged))
    except ProviderNotAvailableError as error:
        return _all(job, "provider", str(error))
    except Exception as error:
        return [_failure(error)] * len(job["changes"])


def _carry_out(operations: Any, changes: list[Json], logged: "_Errors") -> Iterator[Json]:
    begun = time.monotonic()
    for number, change in enumerate(changes):
        if number and time.monotonic() - begun > _PATIENCE:
            return
        logged.texts.clear()
        try:
            done = _change(operations, change)
        except Exception as error:
            yield _failure(error)
            continue
        if done and not logged.texts:
            yield {}
        else:
            yield _answer("failed", "; ".join(logged.texts) or "it did not say why")


def _all(job: Json, error: str, text: str) -> list[Json]:
    return [_answer(error, text)] * len(job["changes"])


def _answer(error: str, text: str, after: int = 0) -> Json:
    return {"error": error, "after": after, "text": text[:_MOST], "cut": len(text) > _MOST}


def _failure(error: Exception) -> Json:
    """Of whatever a provider's module raises; if it asked over HTTP, with what came back."""
    from lexicon.exceptions import AuthenticationError

    response = getattr(error, "response", None)
    status, headers = getattr(response, "status_code", None), getattr(response, "headers", {})
    after = str(headers.get("Retry-After", ""))
    return _answer(
        "credentials" if isinstance(error, AuthenticationError) or status in (401, 403) else "failed",
        f"{type(error).__name__}: {error} {getattr(response, 'text', '')}",
        int(after) if after.isdecimal() else 0,
    )


def _change(operations: Any, change: Json) -> bool:
    """Some providers refuse to make again what is there, and others to remove what is not: it is looked for first."""
    name, value = change["name"], change["value"]
    try:
        listed = operations.list_records("TXT", name)
        there = any(str(record["content"]).strip('"') == value for record in listed)
    except Exception:
        # Not all can list; those that cannot be reached will say so when the change is tried.
        there = change["action"] == "withdraw"
    if there == (change["action"] == "present"):
        return True
    if there:
        return bool(operations.delete_record(None, "TXT", name, value))
    return bool(operations.create_record("TXT", name, value))


class _Errors(logging.Handler):
    """What providers log and do not raise."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


if __name__ == "__main__":
    main()
