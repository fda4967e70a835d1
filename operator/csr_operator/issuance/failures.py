"""How an attempt ends that did not end in a certificate."""

from datetime import timedelta

from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.metrics import FAILURES


class Overtaken(Exception):
    """What an action was decided on is not so any more: decide anew.

    found: the Secret as it is now, if it is that which changed.
    """

    def __init__(self, found: SecretMeta | Staged | None = None) -> None:
        super().__init__()
        self.found = found


class Failed(Exception):
    """What the user is told.

    lapsed: the order is dead, and a new one has to be placed. staged: the order as it is kept from now on. unplaced:
    nothing was ordered, for sure.

    permanent: only a change of the spec or of the issuer helps. needs_user: nothing changes by itself.
    by_issuer: it is this issuer's answer; another one may do. after: how long the CA asked to wait.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        permanent: bool = False,
        needs_user: bool = False,
        by_issuer: bool = False,
        after: timedelta = timedelta(0),
        lapsed: bool = False,
        unplaced: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
        self.permanent, self.needs_user, self.by_issuer, self.after = permanent, needs_user, by_issuer, after
        self.lapsed, self.unplaced = lapsed, unplaced
        self.staged: Staged | None = None
        FAILURES.labels(reason).inc()
