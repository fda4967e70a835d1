"""How an attempt ends that did not end in a certificate."""

from datetime import timedelta

from csr_operator.api.reasons import Reason
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.metrics import FAILURES


class Overtaken(Exception):
    """What an action was decided on is not so any more: decide anew.

    current: the Secret as it is now, if it is that which changed.
    """

    def __init__(self, current: SecretMeta | Staged | None = None) -> None:
        super().__init__()
        self.current = current


class Failed(Exception):
    """What the user is told.

    What follows from the reason is in its row (`api.reasons`): whether anything changes by itself (needs_user), only a
    change of spec or issuer helps (permanent), another issuer may do (by_issuer), and whether the order is dead
    (lapsed). None of these: as the row says; else it is another case than the usual one.

    after: how long the CA asked to wait. unplaced: nothing was ordered, for sure. names_issuer: so does the
    message. staged: the order as it is kept from now on.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        permanent: bool | None = None,
        needs_user: bool | None = None,
        by_issuer: bool | None = None,
        after: timedelta = timedelta(0),
        unplaced: bool = False,
        names_issuer: bool = False,
    ) -> None:
        super().__init__(message)
        row = reason.row
        self.reason, self.message = reason, message
        self.permanent = row.permanent if permanent is None else permanent
        self.needs_user = row.needs_user if needs_user is None else needs_user
        self.by_issuer = row.by_issuer if by_issuer is None else by_issuer
        self.lapsed = row.lapsed
        self.after, self.unplaced, self.names_issuer = after, unplaced, names_issuer
        self.staged: Staged | None = None
        FAILURES.labels(reason).inc()
