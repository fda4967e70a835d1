"""How an attempt ends that did not end in a certificate."""

from .metrics import FAILURES


class Failed(Exception):
    """What the user is told.

    permanent: only a change of the spec or of the issuer helps. needs_user: nothing changes by itself.
    by_issuer: it is this issuer's answer; another one may do. after: seconds that the CA asked to wait.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        permanent: bool = False,
        needs_user: bool = False,
        by_issuer: bool = False,
        after: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
        self.permanent, self.needs_user, self.by_issuer, self.after = permanent, needs_user, by_issuer, after
        FAILURES.labels(reason).inc()
