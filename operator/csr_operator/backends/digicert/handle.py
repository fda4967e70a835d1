"""What is kept of an order while it is pending, and what proves control of its domains."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from csr_operator.plugin.errors import Lapsed
from csr_operator.plugin.text import redact

TOKEN_METHODS = frozenset({"dns-txt-token", "dns-cname-token", "http-token", "http-token-dynamic"})
"""Methods of domain control validation that show a random value."""

_METHODS = TOKEN_METHODS | {"", "email"}
_LONGEST = 4096
_LARGEST = 10**18
_MOST_DOMAINS = 1000
_VALUE = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Handle:
    """placed: when, in UTC. reissue: the order existed before.

    It only says where to look: whose order it is, is seen at DigiCert, and so is what proves control of the domains.
    """

    order: int
    placed: datetime
    reissue: bool = False
    method: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `written` gave. Raises Lapsed if it is not from there."""
        try:
            data = json.loads(text[:_LONGEST])  # what is longer is cut, and no JSON
            order, reissue, method = data["order"], data.get("reissue", False), data["method"]
            placed = datetime.fromtimestamp(data["placed"], UTC)
            if type(order) is int and 0 < order < _LARGEST and type(reissue) is bool and method in _METHODS:
                return cls(order, placed, reissue, method)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
            pass
        raise Lapsed("what was kept of the DigiCert order cannot be read: it is looked for")

    def written(self) -> str:
        data: dict[str, Any] = {
            "order": self.order,
            "placed": int(self.placed.timestamp()),
            "method": self.method,
        }
        if self.reissue:
            data["reissue"] = True
        return json.dumps(data, separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Proof:
    """What DigiCert wants to see for an order: its values by domain, as it told `at` (UTC) for the order of `key`."""

    key: str
    at: datetime
    method: str = ""
    records: Mapping[str, str] = field(default_factory=dict)

    def what_to_do(self) -> str:
        """In words; empty where DigiCert gave nothing to show."""
        steps = [_step(self.method, domain, value) for domain, value in self.records.items()]
        told, length = 0, 0
        for step in steps[:_SHOWN]:
            length += len(step)
            if told and length > _MOST_TOLD:
                break
            told += 1
        more = f" and so on for {len(steps) - told} more" if len(steps) > told else ""
        return "; ".join(steps[:told]) + more


_MOST_TOLD = 380  # characters, so that none is cut
GOOD_FOR = timedelta(days=1)
"""Random values are good for 30 days (docs.digicert.com, "DNS-based DCV methods"): each day it is asked whether there
is another one."""
_SHOWN = 5


def txt_name(domain: str) -> str:
    """Where the value is looked for; the static prefix also works for a domain that is an alias."""
    return f"_dnsauth.{domain}"


def _step(method: str, domain: str, value: str) -> str:
    match method:
        case "dns-cname-token":
            return f"set the CNAME record {txt_name(domain)} to {value}.dcv.digicert.com"
        case "http-token":
            return f"serve {value} at http://{domain}/.well-known/pki-validation/fileauth.txt"
        case "http-token-dynamic":
            return f"serve {value} at http://{domain}/.well-known/pki-validation/{value}.txt"
        case "email":
            return f"answer the e-mail that DigiCert sent for {domain}"
    return f'set the TXT record {txt_name(domain)} to "{value}"'


def records_of(answer: Any, names: tuple[str, ...]) -> dict[str, str]:
    """From the answer to an order or a reissue, or for its random value: one for all names, or one for each domain."""
    if not isinstance(answer, Mapping):
        return {}
    if value := _value(answer.get("dcv_random_value")):
        return {name.removeprefix("*."): value for name in names}
    records: dict[str, str] = {}
    listed = answer.get("domains")
    for domain in listed[:_MOST_DOMAINS] if isinstance(listed, list) else ():
        token = domain.get("dcv_token") if isinstance(domain, Mapping) else None
        if not isinstance(token, Mapping) or token.get("status", "pending") != "pending":
            continue
        name, value = redact(domain.get("dns_name") or domain.get("name")), _value(token.get("token"))
        if name and value:
            records[name.removeprefix("*.")] = value
    return records


def _value(given: object) -> str:
    """As it stands in a record; empty if it could not."""
    return given if isinstance(given, str) and _VALUE.fullmatch(given) else ""
