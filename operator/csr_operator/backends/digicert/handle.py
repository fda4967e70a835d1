"""What is kept of an order while it is pending."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from csr_operator.backends.base import Retryable

TOKEN_METHODS = frozenset({"dns-txt-token", "dns-cname-token", "http-token", "http-token-dynamic"})
"""Methods of domain control validation that show a random value."""

GOOD_FOR = timedelta(days=29)
"""Random values are good for 30 days (docs.digicert.com, "DNS-based DCV methods"); another is asked for before."""


@dataclass(frozen=True, slots=True)
class Handle:
    """placed: when, in UTC. reissue: the order existed before. records: what is to prove control, by domain, told at
    `shown`.
    """

    order: int
    placed: datetime
    shown: datetime
    reissue: bool = False
    method: str = ""
    records: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `written` gave. Raises Retryable if it is not from there."""
        try:
            data = json.loads(text)
            placed = datetime.fromtimestamp(data["placed"], UTC)
            shown = datetime.fromtimestamp(data["shown"], UTC)
            return cls(int(data["order"]), placed, shown, data.get("reissue", False), data["method"], data["records"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Retryable("what was kept of the DigiCert order cannot be read") from None

    def written(self) -> str:
        data: dict[str, Any] = {
            "order": self.order,
            "placed": int(self.placed.timestamp()),
            "shown": int(self.shown.timestamp()),
            "method": self.method,
            "records": dict(self.records),
        }
        if self.reissue:
            data["reissue"] = True
        return json.dumps(data, separators=(",", ":"), sort_keys=True)

    def what_to_do(self) -> str:
        """What proves control of the domains, in words; empty where DigiCert gave nothing to show."""
        if not self.records:
            return ""
        steps = [_step(self.method, domain, value) for domain, value in self.records.items()]
        more = f" and so on for {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else ""
        return "; ".join(steps[:_SHOWN]) + more


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


def records_of(answer: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """From the answer to an order or a reissue: one value for all names, or one for each domain."""
    if value := answer.get("dcv_random_value"):
        return {name.removeprefix("*."): str(value) for name in names}
    found = {}
    for domain in answer.get("domains") or ():
        name, token = domain.get("dns_name") or domain.get("name"), (domain.get("dcv_token") or {}).get("token")
        if name and token and (domain.get("dcv_token") or {}).get("status", "pending") == "pending":
            found[str(name).removeprefix("*.")] = str(token)
    return found
