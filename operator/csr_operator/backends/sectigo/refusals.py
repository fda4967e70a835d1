"""What the errors of the API mean, and what is to be done about them.

Codes are used again for other errors (-9, -39, -62, -105 and -159 each stand for two), so that a code counts only with
the words that it is documented with: anything else is tried again, and the order's state decides.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable

_SOON, _LATER = timedelta(minutes=1), timedelta(minutes=15)
"""Until what passes by itself, and what needs somebody, is tried again."""


class Refusal(Exception):
    """What the API answered, other than success. status: of HTTP. code: 0 if it gave none."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text

    def is_one_of(self, codes: Iterable[int], pattern: str) -> bool:
        return self.code in codes and bool(re.search(pattern, self.text, re.IGNORECASE))


NOT_YET = ((-1400, -183, -103, -109, -169), "process|collect|available")
"""From `collect`: issued, and not to be had yet."""
ALREADY_REVOKED = ((-110, -159), "revoked")
NOT_FOLLOWED = (
    (-105, -123, -124, -130, -180, -1144, -1148),
    "renew|wrong ssl certificate id|not ''?issued|re-discovered|replace is forbidden",
)
"""From `renewById` and `replace`: this certificate cannot be, and nothing was ordered."""


ROLE = "give the account the role for it in Sectigo Certificate Manager"


class _Kind(Enum):
    WAIT = auto()
    USER = auto()  # somebody has to do something at Sectigo
    REQUEST = auto()  # it will never be signed
    ISSUER = auto()


@dataclass(frozen=True, slots=True)
class _Rule:
    codes: tuple[int, ...]
    pattern: str
    kind: _Kind
    remedy: str


_RULES = (
    _Rule((-16, -970), "user|credential|login", _Kind.ISSUER, "check the credentials"),
    _Rule((-3, -25, -37, -226, -738), "authorized|denied|privilege", _Kind.ISSUER, ROLE),
    _Rule((-410, -429), "customer", _Kind.ISSUER, "check spec.sectigo.customerURI"),
    _Rule(
        (-107, -724, -737, -1137),
        "validat",
        _Kind.USER,
        "validate the domain in Sectigo Certificate Manager (Domains), or set spec.sectigo.dcv",
    ),
    _Rule((-843,), "validation status", _Kind.USER, "have the organization validated in Sectigo Certificate Manager"),
    _Rule((-715,), "inactive", _Kind.USER, "activate the domain in Sectigo Certificate Manager"),
    _Rule(
        (-727, -1010),
        "domain",
        _Kind.REQUEST,
        "have the domain delegated to the organization in Sectigo Certificate Manager, or ask for other names",
    ),
    _Rule((-36,), "term", _Kind.ISSUER, "check spec.sectigo.term"),
    _Rule((-39, -111), "profile", _Kind.ISSUER, "check spec.sectigo.profile"),
    _Rule((-639, -1021, -1023), "organi[sz]ation|orgid", _Kind.ISSUER, "check spec.sectigo.organization"),
    _Rule((-62, -64, -131, -135, -159), "custom field|optional field", _Kind.ISSUER, "check spec.sectigo.customFields"),
    _Rule((-62,), "ip address", _Kind.REQUEST, "change ipAddresses"),
    _Rule(
        (-9, -10, -11, -13, -78, -138, -141, -170, -194, -1138),
        "csr|key",
        _Kind.REQUEST,
        "ask for another key, as in privateKey: {algorithm: RSA, size: 2048}, or for other names",
    ),
    _Rule((-164, -306, -714, -732), "domain", _Kind.REQUEST, "ask for other names"),
    _Rule((-1601,), "invalid value", _Kind.REQUEST, "change it in the request, or in the issuer"),
    _Rule((-1, -2, -14, -65), "error", _Kind.WAIT, ""),
    _Rule((-129, -140, -195, -196), "connection|unavailable|not available", _Kind.WAIT, ""),
    _Rule(*NOT_YET, _Kind.WAIT, ""),
)


def describe(refusal: Refusal) -> str:
    """What Sectigo said, and its code, for the user."""
    return f"Sectigo says: {refusal.text.rstrip('.!')}" + (f" (code {refusal.code})" if refusal.code else "")


def judge(refusal: Refusal) -> BackendError:
    """The error for the user, of a call that was refused."""
    text = describe(refusal)
    rule = _rule(refusal)
    if rule is None:
        return Retryable(f"{text}; HTTP status {refusal.status}", _LATER)
    match rule.kind:
        case _Kind.WAIT:
            return Retryable(text, _SOON)
        case _Kind.USER:
            return Retryable(f"{text}: {rule.remedy}", _LATER)
        case _Kind.REQUEST:
            return Rejected(f"{text}: {rule.remedy}")
        case _Kind.ISSUER:
            return Misconfigured(f"{text}: {rule.remedy}")


def is_final(refusal: Refusal) -> bool:
    """Whoever placed an order with this result has placed none."""
    rule = _rule(refusal)
    return rule is not None and rule.kind is not _Kind.WAIT


def _rule(refusal: Refusal) -> _Rule | None:
    return next((rule for rule in _RULES if refusal.is_one_of(rule.codes, rule.pattern)), None)
