"""One issuer's CA as the rest of the operator calls it: counted, timed, and with its errors put into words."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from cryptography import x509

from csr_operator.api.policy import Policy
from csr_operator.api.reasons import Reason
from csr_operator.fence import Fenced, check_fence
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.metrics import CA_CALLS
from csr_operator.pki.verify import CA_DECIDES, Rules
from csr_operator.plugin.backend import Backend, Issued, Order, Pending, Renewal, Traits
from csr_operator.plugin.errors import BackendError, Lapsed, Rejected, Retryable
from csr_operator.plugin.offload import locate_error
from csr_operator.plugin.text import redact

from .backend_answers import (
    OutOfBounds,
    bound_answer,
    bound_first_answer,
    bound_nothing,
    bound_renewal,
    bound_roots,
    bound_wait,
    describe_refusal,
    is_unplaced,
)
from .backend_tasks import in_backend
from .failures import Failed

T = TypeVar("T")

_PATIENCE = 120.0
"""Seconds after which an answer is no longer waited for; backends have shorter limits of their own."""

TAKEN_OVER = Rules(added_usages=frozenset({"key encipherment"}))
"""Of certificates that others asked for: they name it for keys of every kind, and some keys cannot serve for it."""

logger = logging.getLogger(__name__)


def describe_unexpected(backend: str, error: BaseException) -> str:
    """For the user, of an error that a backend should not raise."""
    kind = redact(type(error).__name__)
    return f"backend {backend} failed in a way that its author did not expect: see {kind} in the log"


def describe_silence(limit: asyncio.Timeout, patience: float) -> str:
    """For the user, of a TimeoutError: that of our own limit of `patience` seconds, or of one of the backend."""
    return f"the CA did not answer within {patience:.0f} s" if limit.expired() else "the CA did not answer in time"


def log_unexpected(issuer: object, backend: str, call: str, error: BaseException) -> None:
    """Say where a backend went wrong. The text of an error may hold anything, so it goes to the log alone."""
    text, subject = "%s: backend %s: unexpected, at %s", (issuer, backend, call)
    if isinstance(error, Exception):
        logger.error(text, *subject, exc_info=error)
    else:  # what ends a process, or a task, says nothing that is of use
        logger.error(f"{text}: %s", *subject, locate_error(error))


def is_own_end(error: BaseException) -> bool:
    """What comes out of a call is that our own task ends, and not the backend's error.

    A backend may well raise CancelledError, and others that are no Exception: from a task of its own that it awaits.
    """
    task = asyncio.current_task()
    return not isinstance(error, Exception) and (task is None or task.cancelling() > 0)


class GuardedBackend:
    """Whatever a backend says, a third party's as well, gets from here on in bounds: texts are one printable line of at
    most 500 characters, waits are from a second to a day, and what is kept has a size.

    issuer: as a Secret's annotations name it (`Kind/name`). name: the backend's. policy: the issuer's. version: as
    `IssuerState.version`."""

    def __init__(self, issuer: str, name: str, backend: Backend, policy: Policy | None, version: str = "") -> None:
        self.issuer, self.name, self.backend, self.policy, self.version = issuer, name, backend, policy, version

    @property
    def traits(self) -> Traits:
        """What the backend says of itself."""
        return self.backend.traits

    async def ask(self, order: Order, handle: str) -> Issued | Pending:
        """Place the order, or ask how the one with `handle` stands. Raises Failed."""
        if handle:
            return await self._counted("poll", lambda: self.backend.poll(order, handle), bound_answer)
        return await self._counted("submit", lambda: self.backend.submit(order), bound_first_answer)

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        """Raises Failed."""
        await self._counted("revoke", lambda: self.backend.revoke(certificate, reason), bound_nothing)

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        """Raises Failed."""
        if not self.traits.suggests_renewal:
            return None
        return await self._counted("suggest_renewal", lambda: self.backend.suggest_renewal(reference), bound_renewal)

    async def roots_of(self, leaf: x509.Certificate) -> tuple[Sequence[x509.Certificate] | None, Rules]:
        """What a certificate that could be this CA's leads to (None: not known), and what it may differ in. Raises
        Failed."""
        if not self.traits.knows_roots:
            return None, CA_DECIDES
        return await self._counted("roots_of", lambda: self.backend.roots_of(leaf), bound_roots), TAKEN_OVER

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        """Raises Failed."""
        if self.traits.abandons:
            await self._counted("abandon", lambda: self.backend.abandon(key, csr, handle), bound_nothing)

    async def _counted(self, call: str, begin: Callable[[], Awaitable[Any]], bounded: Callable[[object], T]) -> T:
        outcome, limit = "error", asyncio.timeout(_PATIENCE)
        try:
            check_fence()
            with in_backend():
                async with limit:
                    given = await begin()
            result = bounded(given)
            outcome = "ok"
            return result
        except TimeoutError:
            outcome = "timeout"
            raise Failed(Reason.ISSUER_UNAVAILABLE, describe_silence(limit, _PATIENCE)) from None
        except Retryable as error:
            outcome = "retryable"
            after, message = bound_wait(error), describe_refusal(error)
            if isinstance(error, Lapsed):
                raise Failed(Reason.ORDER_FAILED, message, after=after) from error
            nothing = call == "submit" and is_unplaced(error)
            raise Failed(Reason.ISSUER_UNAVAILABLE, message, after=after, unplaced=nothing) from error
        except Rejected as error:
            outcome = "rejected"
            raise Failed(Reason.REJECTED, describe_refusal(error)) from error
        except BackendError as error:
            outcome = "misconfigured"
            raise Failed(Reason.ISSUER_NOT_READY, describe_refusal(error), by_issuer=True) from error
        except OutOfBounds as error:
            text = f"backend {self.name} {error}"
            raise Failed(Reason.ANSWER_MISMATCH, text) from None
        except (KubeError, Unreachable, Fenced):
            raise  # of a Secret that it reads: the API server's fault; or not this replica's any more
        except BaseException as error:
            if is_own_end(error):
                raise
            log_unexpected(self.issuer, self.name, call, error)
            raise Failed(Reason.ISSUER_UNAVAILABLE, describe_unexpected(self.name, error)) from error
        finally:
            CA_CALLS.labels(self.name, call, outcome).inc()
