"""ACME's resources (RFC 8555, section 7.1) as frozen values, parsed from what the server sent.

What a server adds of its own is ignored; unknown challenge types are kept. A missing or mistyped member raises
KeyError, TypeError or ValueError here, which the client puts into words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from csr_acme.errors import Problem

Json = Mapping[str, Any]


class Identifier(NamedTuple):
    """type: `dns`, or `ip` (RFC 8738)."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Directory:
    """Empty strings where the server does not offer it. profiles: name to description."""

    new_nonce: str
    new_account: str
    new_order: str
    revoke_cert: str
    key_change: str = ""
    renewal_info: str = ""
    terms_of_service: str = ""
    website: str = ""
    caa_identities: tuple[str, ...] = ()
    external_account_required: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Json) -> "Directory":
        meta = raw.get("meta") or {}
        return cls(
            new_nonce=raw["newNonce"],
            new_account=raw["newAccount"],
            new_order=raw["newOrder"],
            revoke_cert=raw["revokeCert"],
            key_change=raw.get("keyChange", ""),
            renewal_info=raw.get("renewalInfo", ""),
            terms_of_service=meta.get("termsOfService", ""),
            website=meta.get("website", ""),
            caa_identities=tuple(meta.get("caaIdentities") or ()),
            external_account_required=bool(meta.get("externalAccountRequired")),
            profiles=dict(meta.get("profiles") or {}),
        )


@dataclass(frozen=True, slots=True)
class Account:
    url: str
    status: str
    contact: tuple[str, ...] = ()
    orders: str = ""

    @classmethod
    def parse(cls, url: str, raw: Json) -> "Account":
        return cls(url, raw.get("status", "valid"), tuple(raw.get("contact") or ()), raw.get("orders", ""))


@dataclass(frozen=True, slots=True)
class Challenge:
    """extra: what else the server sent, such as dns-persist-01's `issuer-domain-names`."""

    type: str
    url: str
    status: str
    token: str = ""
    error: Problem | None = None
    extra: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Json) -> "Challenge":
        known = ("type", "url", "status", "token", "error", "validated")
        return cls(
            type=raw["type"],
            url=raw["url"],
            status=raw.get("status", "pending"),
            token=raw.get("token", ""),
            error=_problem(raw),
            extra={name: value for name, value in raw.items() if name not in known},
        )


@dataclass(frozen=True, slots=True)
class Authorization:
    """retry_after: seconds, as the server asked."""

    url: str
    identifier: Identifier
    status: str
    challenges: tuple[Challenge, ...]
    wildcard: bool = False
    expires: datetime | None = None
    retry_after: float | None = None

    @classmethod
    def parse(cls, url: str, raw: Json, retry_after: float | None) -> "Authorization":
        return cls(
            url=url,
            identifier=_identifier(raw["identifier"]),
            status=raw["status"],
            challenges=tuple(Challenge.parse(challenge) for challenge in raw.get("challenges") or ()),
            wildcard=bool(raw.get("wildcard")),
            expires=_time(raw, "expires"),
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """status: pending, ready, processing, valid or invalid. retry_after: seconds, as the server asked."""

    url: str
    status: str
    identifiers: tuple[Identifier, ...]
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str = ""
    error: Problem | None = None
    expires: datetime | None = None
    replaces: str = ""
    profile: str = ""
    retry_after: float | None = None

    @classmethod
    def parse(cls, url: str, raw: Json, retry_after: float | None) -> "Order":
        return cls(
            url=url,
            status=raw["status"],
            identifiers=tuple(_identifier(identifier) for identifier in raw["identifiers"]),
            authorizations=tuple(raw["authorizations"] or ()),  # null at OpenBao, of an order that failed
            finalize=raw["finalize"],
            certificate=raw.get("certificate", ""),
            error=_problem(raw),
            expires=_time(raw, "expires"),
            replaces=raw.get("replaces", ""),
            profile=raw.get("profile", ""),
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """When the CA suggests to renew (RFC 9773), and after how many seconds to ask again."""

    start: datetime
    end: datetime
    retry_after: float
    explanation_url: str = ""

    @classmethod
    def parse(cls, raw: Json, retry_after: float) -> "RenewalInfo":
        window = raw["suggestedWindow"]
        start, end = _moment(window["start"]), _moment(window["end"])
        if end <= start:
            raise ValueError("the suggested window ends before it begins")
        return cls(start, end, retry_after, raw.get("explanationURL", ""))


def _identifier(raw: Json) -> Identifier:
    return Identifier(raw["type"], raw["value"])


def _problem(raw: Json) -> Problem | None:
    return Problem.parse(raw["error"]) if raw.get("error") else None


def _time(raw: Json, name: str) -> datetime | None:
    return _moment(raw[name]) if raw.get(name) else None


def _moment(text: str) -> datetime:
    """RFC 3339."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)
