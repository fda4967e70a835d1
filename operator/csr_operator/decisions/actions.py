"""What may be done next about a request: the answers of `decide`, as values.

The controller carries them out. Each is one step: after it, all is looked at anew.
"""

from dataclasses import dataclass, field
from datetime import datetime

from csr_operator.api.keys import ObjectKey
from csr_operator.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Issue:
    """Have a certificate issued by `issuer`, as `revision`, because of `reason`."""

    reason: Reason
    revision: int
    issuer: ObjectKey
    revoke_old: bool = False
    """The certificate that it replaces is to be revoked afterwards."""
    hurries: int = 0
    """As its Record is to say: how many in a row were replaced early."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the order under way at `issuer`."""

    revision: int
    issuer: ObjectKey
    revoke_old: bool = False
    """As of `Issue`."""
    reason: Reason | None = field(default=None, compare=False)
    """As of `Issue`, as far as it is still to be seen."""


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
    """As the record says; of the first one that it can be, if there is none."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Read the Secret of somebody else, and take it over if it holds what is asked for."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Add the finalizer, to the request or else to its Secret: a certificate will have to be revoked before they go."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Have `issuer` revoke what is owed: certificates that were replaced, or the one in the Secret."""

    issuer: ObjectKey
    current: bool = False
    """The one in the Secret."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what is owed from the Secret: it was given up, or has expired, or nobody can revoke it."""


@dataclass(frozen=True, slots=True)
class Release:
    """Remove the finalizers of request and Secret: nothing is left to revoke, or nothing that can be."""

    unrevoked: str = ""
    """What was not revoked and why, for the user; empty if there was nothing to revoke."""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Remove the finalizer of the Secret alone: somebody deleted it, or it has no use any more."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait for somebody or something that `message` names."""

    reason: Reason
    message: str
    needs_user: bool
    """Somebody has to do something: it does not go on by itself."""
    until: datetime | None = None
    """When to decide again without an event; None for never."""
    names_issuer: bool = field(default=False, compare=False)
    """The message says which issuer it is about."""

    @classmethod
    def of(cls, reason: Reason, message: str, until: datetime | None = None, *, names_issuer: bool = False) -> "Hold":
        """For a reason that says by itself whether somebody has to do something."""
        return cls(reason, message, reason.row.needs_user, until, names_issuer)


@dataclass(frozen=True, slots=True)
class Keep:
    """All is as it should be."""

    until: datetime | None
    """When there will be something to do; None for never."""
    note: str = ""
    """What will be in the way then, for the user; mostly empty."""


Rest = Hold | Keep
"""Nothing is to be done now."""

Action = Issue | Resume | Consult | Discard | Restore | Adopt | Guard | Revoke | Forget | Release | LetGo | Rest
"""One step, or none."""
