"""ACME's resources (RFC 8555, section 7.1) as frozen values, parsed from what the server sent.

What a server adds of its own is ignored; unknown challenge types are kept. `parse` takes any JSON, and raises
ValueError for what is not as it has to be, in words of ours, and ForeignUrl for a URL that is not the server's own.
All texts, lists and times are bounded.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from csr_acme.errors import Problem
from csr_acme.origin import Origin

_MOST_TEXT = 512
"""Characters of a text that has no bound of its own."""

_MOST_LINE = 2048
"""Characters of a text in a list, which may be a URL."""

_MOST_IDENTIFIERS = 2000
_MOST_CHALLENGES = 32
_MOST_CONTACTS = 64
_MOST_LISTED = 64
"""Profiles, CAA identities."""

_MOST_ISSUER_DOMAINS = 10
"""draft-ietf-acme-dns-persist, section 3.1."""

_WORD = re.compile(r"[!-~]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""RFC 8555, section 8.3: base64url without padding."""

_PAGE = re.compile(r"https?://[!-~]{1,250}")
_CERTIFICATE_ID = re.compile(r"[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,256}")


def is_certificate_id(text: str) -> bool:
    """It is of the form that names a certificate to ARI (RFC 9773, section 4.1)."""
    return _CERTIFICATE_ID.fullmatch(text) is not None


class Identifier(NamedTuple):
    """type: `dns`, or `ip` (RFC 8738). value: in its one spelling, lower case or as `ipaddress` writes it."""

    type: str
    value: str


class _Members:
    """A JSON object, member by member. null counts as absent, as some servers write it."""

    def __init__(self, raw: Any, origin: Origin) -> None:
        if not isinstance(raw, dict):
            raise ValueError("is not a JSON object")
        self._raw: Mapping[str, Any] = raw
        self._origin = origin

    def get(self, name: str) -> Any:
        return self._raw.get(name)

    def text(self, name: str, default: str | None = None, most: int = _MOST_TEXT) -> str:
        value = self._raw.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise ValueError(f"{name} is not a text of at most {most} characters")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        value = self._raw.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise ValueError(f"{name} is not a word")
        return value

    def url(self, name: str, default: str | None = None) -> str:
        value = self._raw.get(name)
        if value in (None, "") and default is not None:
            return default
        if not isinstance(value, str):
            raise ValueError(f"has no {name}")
        return self._origin.take(name, value)

    def list(self, name: str, most: int) -> list[Any]:
        value = self._raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(f"{name} is not a list of at most {most}")
        return value

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        items = self.list(name, most)
        if not all(isinstance(item, str) and len(item) <= _MOST_LINE for item in items):
            raise ValueError(f"{name} is not a list of texts")
        return tuple(items)

    def below(self, name: str) -> "_Members":
        return _Members(self._raw.get(name) or {}, self._origin)

    def identifier(self, name: str) -> Identifier:
        return _identifier(self._raw.get(name))

    def problem(self) -> Problem | None:
        return Problem.parse(self._raw["error"]) if self._raw.get("error") else None

    def moment(self, name: str) -> datetime | None:
        """RFC 3339."""
        value = self._raw.get(name)
        if value in (None, ""):
            return None
        try:
            if not isinstance(value, str) or len(value) > _MOST_TEXT:
                raise ValueError
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{name} is not a time with a time zone (RFC 3339)") from None


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
    caa_identities: tuple[str, ...] = ()
    external_account_required: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Any, origin: Origin) -> "Directory":
        urls = _Members(raw, origin)
        meta = urls.below("meta")
        profiles = meta.get("profiles") or {}
        if not isinstance(profiles, dict) or len(profiles) > _MOST_LISTED:
            raise ValueError(f"profiles is not an object of at most {_MOST_LISTED}")
        return cls(
            new_nonce=urls.url("newNonce"),
            new_account=urls.url("newAccount"),
            new_order=urls.url("newOrder"),
            revoke_cert=urls.url("revokeCert"),
            key_change=urls.url("keyChange", ""),
            renewal_info=urls.url("renewalInfo", ""),
            terms_of_service=meta.text("termsOfService", ""),
            caa_identities=meta.texts("caaIdentities", _MOST_LISTED),
            external_account_required=bool(meta.get("externalAccountRequired")),
            profiles={
                name: text[:_MOST_TEXT] if isinstance(text, str) else ""
                for name, text in profiles.items()
                if _WORD.fullmatch(name)
            },
        )


@dataclass(frozen=True, slots=True)
class Account:
    """orders: where the server lists its orders; empty if it does not, or not at a URL of its own. Nothing but finding
    orders again depends on it, and a server of several names writes the one by which the account was made.
    """

    url: str
    status: str
    contact: tuple[str, ...] = ()
    orders: str = ""

    @classmethod
    def parse(cls, url: str, raw: Any, origin: Origin) -> "Account":
        account = _Members(raw, origin)
        contact = account.texts("contact", _MOST_CONTACTS)
        orders = account.get("orders")
        listed = orders if isinstance(orders, str) and origin.permits(orders) else ""
        return cls(url, account.word("status", "valid"), contact, listed)


@dataclass(frozen=True, slots=True)
class Challenge:
    """token: of the alphabet and length that it has to be; empty if this type has none.

    issuer_domains: dns-persist-01's `issuerDomainNames` (draft-ietf-acme-dns-persist-02), or `issuer-domain-names` as
    the drafts before it have it, as the server says them.
    """

    type: str
    url: str
    status: str
    token: str = ""
    error: Problem | None = None
    issuer_domains: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: Any, origin: Origin) -> "Challenge":
        challenge = _Members(raw, origin)
        token = challenge.text("token", "")
        if token and not _TOKEN.fullmatch(token):
            raise ValueError("token is not base64url of at most 256 characters (RFC 8555, section 8.3)")
        return cls(
            type=challenge.word("type"),
            url=challenge.url("url"),
            status=challenge.word("status", "pending"),
            token=token,
            error=challenge.problem(),
            issuer_domains=challenge.texts("issuerDomainNames", _MOST_ISSUER_DOMAINS)
            or challenge.texts("issuer-domain-names", _MOST_ISSUER_DOMAINS),
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
    def parse(cls, url: str, raw: Any, origin: Origin, retry_after: float | None) -> "Authorization":
        authorization = _Members(raw, origin)
        challenges = authorization.list("challenges", _MOST_CHALLENGES)
        return cls(
            url=url,
            identifier=authorization.identifier("identifier"),
            status=authorization.word("status"),
            challenges=tuple(Challenge.parse(challenge, origin) for challenge in challenges),
            wildcard=authorization.get("wildcard") is True,
            expires=authorization.moment("expires"),
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """status: pending, ready, processing, valid or invalid. retry_after: seconds, as the server asked.

    authorizations: never more than identifiers.
    """

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
    def parse(cls, url: str, raw: Any, origin: Origin, retry_after: float | None) -> "Order":
        order = _Members(raw, origin)
        identifiers = tuple(map(_identifier, order.list("identifiers", _MOST_IDENTIFIERS)))
        # null at OpenBao, of an order that failed
        authorizations = order.texts("authorizations", _MOST_IDENTIFIERS)
        if len(authorizations) > len(identifiers):
            raise ValueError(f"has {len(authorizations)} authorizations for {len(identifiers)} identifiers")
        return cls(
            url=url,
            status=order.word("status"),
            identifiers=identifiers,
            authorizations=tuple(origin.take("authorization", authorization) for authorization in authorizations),
            finalize=order.url("finalize"),
            certificate=order.url("certificate", ""),
            error=order.problem(),
            expires=order.moment("expires"),
            replaces=order.text("replaces", ""),
            profile=order.text("profile", ""),
            retry_after=retry_after,
        )


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """When the CA suggests to renew (RFC 9773), in whole seconds, and after how many seconds to ask again.

    explanation: the URL of a page that says why (section 4.2), for people alone: nothing is sent there.
    """

    start: datetime
    end: datetime
    retry_after: float
    explanation: str = ""

    @classmethod
    def parse(cls, raw: Any, origin: Origin, retry_after: float) -> "RenewalInfo":
        members = _Members(raw, origin)
        window = members.below("suggestedWindow")
        start, end = window.moment("start"), window.moment("end")
        if start is None or end is None:
            raise ValueError("suggestedWindow has no start and end")
        start, end = start.replace(microsecond=0), end.replace(microsecond=0)
        if end <= start:
            raise ValueError("suggestedWindow ends before it begins")
        page = members.get("explanationURL")
        return cls(start, end, retry_after, page if isinstance(page, str) and _PAGE.fullmatch(page) else "")


def _identifier(raw: Any) -> Identifier:
    if not isinstance(raw, dict):
        raise ValueError("an identifier is not a JSON object")
    kind, value = raw.get("type"), raw.get("value")
    if not (isinstance(kind, str) and _WORD.fullmatch(kind) and isinstance(value, str) and len(value) <= _MOST_TEXT):
        raise ValueError("an identifier has no type and value")
    if kind != "ip":
        return Identifier(kind, value.lower())
    try:
        return Identifier(kind, str(ipaddress.ip_address(value)))
    except ValueError:
        raise ValueError("an identifier is not an IP address") from None
