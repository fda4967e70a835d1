"""One change by dns-lexicon, as a program of its own: a JSON object on stdin, another one on stdout.

In:  {"action": "present" | "withdraw", "provider": str, "zone": str, "name": str, "value": str,
      "options": {str: str}, "ttl": int}
Out: {} when done, else {"error": "missing" | "provider" | "options" | "credentials" | "failed", "text": str}

It is run by a path, perhaps with another Python than the operator's: it imports nothing but dns-lexicon.
"""

import argparse
import json
import logging
import sys
from typing import Any


def main() -> None:
    print(json.dumps(_answer(json.load(sys.stdin))))


def _answer(asked: dict[str, Any]) -> dict[str, str]:
    try:
        from lexicon.client import Client
        from lexicon.config import ConfigResolver
        from lexicon.exceptions import AuthenticationError, ProviderNotAvailableError
    except ImportError as error:
        return {"error": "missing", "text": str(error)}
    import dns.name
    import dns.resolver

    # Lexicon would ask the system's DNS servers, or download a list of public suffixes, for what is known already.
    setattr(dns.resolver, "zone_for_name", lambda name: dns.name.from_text(asked["zone"]))  # noqa: B010
    logged = _Errors()
    logging.basicConfig(level=logging.ERROR, handlers=[logged])
    config = {
        "provider_name": asked["provider"],
        "domain": asked["zone"],
        "resolve_zone_name": True,
        "ttl": asked["ttl"],
        asked["provider"]: asked["options"],
    }
    try:
        client = Client(ConfigResolver().with_dict(config))  # type: ignore[no-untyped-call]
        parser = argparse.ArgumentParser(add_help=False)
        client.provider_class.configure_parser(parser)
        known = sorted(action.dest for action in parser._actions)
        if unknown := sorted(set(asked["options"]) - set(known)):
            return {"error": "options", "text": f"{', '.join(unknown)}; it knows {', '.join(known)}"}
        with client as operations:
            done = _change(operations, asked)
    except ProviderNotAvailableError as error:
        return {"error": "provider", "text": str(error)}
    except AuthenticationError as error:
        return {"error": "credentials", "text": str(error)}
    except Exception as error:  # whatever a provider's module raises
        status = getattr(getattr(error, "response", None), "status_code", None)
        body = getattr(getattr(error, "response", None), "text", "")
        kind = "credentials" if status in (401, 403) else "failed"
        return {"error": kind, "text": f"{type(error).__name__}: {error} {body}"}
    if not done or logged.texts:
        return {"error": "failed", "text": "; ".join(logged.texts) or "the provider did not say why"}
    return {}


def _change(operations: Any, asked: dict[str, Any]) -> bool:
    """Some providers refuse to make again what is there, and others to remove what is not: it is looked for first."""
    name, value = asked["name"], asked["value"]
    try:
        listed = operations.list_records("TXT", name)
        there = any(str(record["content"]).strip('"') == value for record in listed)
    except Exception:
        # Not all can list; those that cannot be reached will say so when the change is tried.
        there = asked["action"] == "withdraw"
    if there == (asked["action"] == "present"):
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
