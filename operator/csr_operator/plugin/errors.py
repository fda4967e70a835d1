"""How a call of a CA ends that gave no answer to go on with.

BackendError
  Retryable       try again, but not before `after` (timeouts, overload, HTTP 429 and 5xx)
    Lapsed        the order came to nothing; place another one for the same CSR
  Rejected        this request will never be signed; the text is the CA's message
  Misconfigured   no request can be signed: the issuer's fault (credentials, a field, an expired CA)
    SecretNotFound  a Secret that it names is not there
"""

from datetime import timedelta


class BackendError(Exception):
    """The text is shown to the user: it says what is wrong and what to do, and holds no credential."""


class Retryable(BackendError):
    """after: how long the CA asks to wait; 0 if it does not say. unplaced: from `submit`, when for sure nothing was
    ordered: another issuer of the request is then asked at once, where it names several."""

    def __init__(self, message: str, after: timedelta = timedelta(0), *, unplaced: bool = False) -> None:
        super().__init__(message)
        self.after, self.unplaced = after, unplaced


class Lapsed(Retryable):
    """From `submit` or `poll` of a backend that `costs`: the handle is dropped, and `submit` called after the wait."""


class Rejected(BackendError):
    """From `submit` or `poll`: another attempt with the same request would end the same way."""


class Misconfigured(BackendError):
    """The issuer cannot sign anything until somebody mends it."""


class SecretNotFound(Misconfigured):
    """A Secret that the issuer names is not there: it may be created later."""
