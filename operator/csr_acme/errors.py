"""What can go wrong.

AcmeError
  Unreachable    no answer, or one that is no ACME: the network, a proxy, a server that is down
  Refused        the server said no, by a problem document (RFC 7807; RFC 8555, section 6.7)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PREFIX = "urn:ietf:params:acme:error:"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document. type: without the ACME prefix, such as `rateLimited`; of: the identifier it is about."""

    type: str
    detail: str = ""
    status: int = 0
    of: str = ""
    subproblems: tuple["Problem", ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "Problem":
        identifier = raw.get("identifier")
        return cls(
            type=str(raw.get("type", "")).removeprefix(_PREFIX),
            detail=str(raw.get("detail", "")),
            status=int(raw["status"]) if str(raw.get("status", "")).isdigit() else 0,
            of=str(identifier.get("value", "")) if isinstance(identifier, dict) else "",
            subproblems=tuple(cls.parse(sub) for sub in raw.get("subproblems") or () if isinstance(sub, dict)),
        )

    def words(self) -> str:
        """For a person: what the server said, and of which name."""
        text = f"{self.detail or 'no detail was given'} ({self.type or 'about:blank'})"
        if self.of:
            text = f"{self.of}: {text}"
        if self.subproblems:
            text += ": " + "; ".join(sub.words() for sub in self.subproblems[:_SHOWN])
            if len(self.subproblems) > _SHOWN:
                text += f"; and {len(self.subproblems) - _SHOWN} more"
        return text


class AcmeError(Exception):
    """retry_after: seconds that the server asks to wait; None if it did not say."""

    retry_after: float | None = None


class Unreachable(AcmeError):
    """status: of HTTP; 0 if there was no answer."""

    def __init__(self, message: str, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.retry_after, self.status = retry_after, status


class Refused(AcmeError):
    """status: of HTTP. location: a URL that came along, such as that of an account that exists already."""

    def __init__(self, problem: Problem, status: int, retry_after: float | None = None, location: str = "") -> None:
        super().__init__(problem.words())
        self.problem, self.status, self.retry_after, self.location = problem, status, retry_after, location
