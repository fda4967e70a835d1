"""What can go wrong.

AcmeError
  Unreachable    no answer, or one that is no ACME: the network, a proxy, a server that is down
    Untrusted    its TLS certificate does not lead to whom we trust, or is for another name
  ForeignUrl     the server named a URL that is not its own
  Refused        the server said no, by a problem document (RFC 7807; RFC 8555, section 6.7)

Their texts are printable, in one line and bounded. Of an answer they hold nothing but what is ACME's own: the details
of its problems.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TYPE = re.compile(r"urn:ietf:params:acme:error:([A-Za-z]{1,64})")
_MOST_DETAIL, _MOST_NAME = 10_000, 253
"""Characters. A detail is as good as whole: whoever hides a secret in it can do so before it is cut for people."""

_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0]+")

_MOST_SUBPROBLEMS = 10


def fit_line(text: str, most: int) -> str:
    """At most so many characters of a text that others wrote, in one line of printable ones."""
    text = _BLANKS.sub(" ", text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * most]).split())
    return line if len(line) <= most and len(text) <= 2 * most else f"{line[:most]}..."


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document. type: without the ACME prefix, such as `rateLimited`; of: the identifier it is about.

    One of no type of ACME's has neither type nor detail: it may be the answer of a server that speaks of other things.
    subproblems: the first ten; they have none of their own (RFC 8555, section 6.7.1). more: how many others there are.
    """

    type: str
    detail: str = ""
    of: str = ""
    subproblems: tuple["Problem", ...] = ()
    more: int = 0

    @classmethod
    def parse(cls, raw: Any) -> "Problem":
        """Of anything that a server may send."""
        problem = cls._alone(raw)
        below = raw.get("subproblems") if isinstance(raw, dict) else None
        if not problem.type or not isinstance(below, list):
            return problem
        subproblems = tuple(map(cls._alone, below[:_MOST_SUBPROBLEMS]))
        return cls(problem.type, problem.detail, problem.of, subproblems, len(below) - len(subproblems))

    @classmethod
    def _alone(cls, raw: Any) -> "Problem":
        if not isinstance(raw, dict) or (kind := _TYPE.fullmatch(_text(raw, "type"))) is None:
            return cls("")
        identifier = raw.get("identifier")
        return cls(
            type=kind[1],
            detail=fit_line(_text(raw, "detail"), _MOST_DETAIL),
            of=fit_line(_text(identifier, "value"), _MOST_NAME) if isinstance(identifier, dict) else "",
        )

    def describe(self) -> str:
        """For a person: what the server said, and of which name."""
        if not self.type:
            return "an error without an ACME type"
        text = f"{self.detail or 'no detail was given'} ({self.type})"
        if self.of:
            text = f"{self.of}: {text}"
        if self.subproblems:
            text += ": " + "; ".join(sub.describe() for sub in self.subproblems)
            if self.more:
                text += f"; and {self.more} more"
        return text


class AcmeError(Exception):
    """retry_after: seconds that the server asks to wait, as `client.retry_after`; None if it did not say."""

    retry_after: float | None = None


class Unreachable(AcmeError):
    """status: of HTTP; 0 if there was no answer."""

    def __init__(self, message: str, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(message)
        self.retry_after, self.status = retry_after, status


class Untrusted(Unreachable):
    """The server's TLS certificate is not one that this client trusts."""


class ForeignUrl(AcmeError):
    """field: what the server calls it. url: as far as it may be shown. own: the server's origin."""

    def __init__(self, field: str, url: str, own: str) -> None:
        super().__init__(f"the CA's {field} is {url}, where nothing is sent: it has to be https and on its own {own}")


class Refused(AcmeError):
    """status: of HTTP."""

    def __init__(self, problem: Problem, status: int, retry_after: float | None = None) -> None:
        super().__init__(problem.describe())
        self.problem, self.status, self.retry_after = problem, status, retry_after


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""
