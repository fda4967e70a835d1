"""TODO actions."""

from dataclasses import dataclass, field
from datetime import datetime

from csr_operator.api.keys import ObjectKey
from csr_operator.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Issue:
    """Have a certificate issued by `issuer`, as `revision`, because of `reason`.

    revoke_old: the certificate that it replaces is to be revoked afterwards. hurries: as its Record is to say.
    """

    reason: Reason
    revision: int
    issuer: ObjectKey
    revoke_old: bool = False
    hurries: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the order under way at `issuer`. reason: as of `Issue`, as far as it is still to be seen."""

    revision: int
    issuer: ObjectKey
    revoke_old: bool = False
    reason: Reason | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Consult:
    """Ask `issuer` when it wants the certificate in the Secret renewed."""

    issuer: ObjectKey


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete the staging Secret: the order is done, or no longer what is wanted."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Read the Secret and write it as it should be, with the same certificate if that still serves."""

    revision: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Read the Secret of somebody else, and take it over if it holds what is asked for."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Add the finalizer, to the request or else to its Secret: a certificate will have to be revoked before they go."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Have `issuer` revoke what it owes: the replaced certificates, or (`current`) the one in the Secret."""

    issuer: ObjectKey
    current: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what is owed from the Secret: it was given up, or has expired, or nobody can revoke it."""


@dataclass(frozen=True, slots=True)
class Release:
    """Remove the finalizers of request and Secret: nothing is left to revoke. unrevoked: or what is, and why."""

    unrevoked: str = ""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Remove the finalizer of the Secret alone: somebody deleted it, or it has no use any more."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait for somebody or something that `message` names; at `until` look again by yourself.

    names_issuer: the message says which issuer it is about.
    """

    reason: Reason
    message: str
    needs_user: bool
    until: datetime | None = None
    names_issuer: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, reason: Reason, message: str, until: datetime | None = None, *, names_issuer: bool = False) -> "Hold":
        """For a reason that says by itself whether somebody has to do something."""
        return cls(reason, message, reason.row.needs_user, until, names_issuer)


@dataclass(frozen=True, slots=True)
class Keep:
    """All is as it should be until `until`. note: what will be in the way then."""

    until: datetime | None
    note: str = ""


Rest = Hold | Keep

Action = Issue | Resume | Consult | Discard | Restore | Adopt | Guard | Revoke | Forget | Release | LetGo | Rest
