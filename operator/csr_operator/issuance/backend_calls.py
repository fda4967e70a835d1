"""One issuer's CA as the rest of the operator calls it: counted, timed, and with its errors put into words."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from cryptography import x509

from csr_operator.api.policy import Policy
from csr_operator.api.reasons import Reason
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.metrics import CA_CALLS
from csr_operator.pki.verify import CA_DECIDES, Rules
from csr_operator.plugin.backend import Backend, Issued, Order, Pending, Renewal, Traits
from csr_operator.plugin.errors import BackendError, Lapsed, Rejected, Retryable
from csr_operator.plugin.schedule import SHORTEST, bounded_pause
from csr_operator.plugin.text import redact

from .failures import Failed

T = TypeVar("T")

_PATIENCE = 120.0
"""Seconds after which an answer is no longer waited for; backends have shorter limits of their own."""
_MOST_CERTIFICATES, _MOST_ROOTS = 20, 100
_LONGEST_REFERENCE, _LARGEST_HANDLE = 1024, 4096
_YEARS = range(1970, 9000)  # with room for what is added to a time, or taken from it

TAKEN_OVER = Rules(added_usages=frozenset({"key encipherment"}))
"""Of certificates that others asked for: they name it for keys of every kind, and some keys cannot serve for it."""

logger = logging.getLogger(__name__)


def describe_unexpected(backend: str, error: Exception) -> str:
    """For the user, of an error that a backend should not raise."""
    return f"backend {backend} failed in a way that its author did not expect: see {type(error).__name__} in the log"


class _OutOfBounds(Exception):
    """An answer that is more than may be kept. The text is for the user."""


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
            return await self._counted("poll", self.backend.poll(order, handle), _answer)
        return await self._counted("submit", self.backend.submit(order), _first_answer)

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        """Raises Failed."""
        await self._counted("revoke", self.backend.revoke(certificate, reason))

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        """Raises Failed."""
        if not self.traits.suggests_renewal:
            return None
        return await self._counted("suggest_renewal", self.backend.suggest_renewal(reference), _renewal)

    async def roots_of(self, leaf: x509.Certificate) -> tuple[Sequence[x509.Certificate] | None, Rules]:
        """What a certificate that could be this CA's leads to (None: not known), and what it may differ in. Raises
        Failed."""
        if not self.traits.knows_roots:
            return None, CA_DECIDES
        return await self._counted("roots_of", self.backend.roots_of(leaf)), TAKEN_OVER

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        """Raises Failed."""
        if self.traits.abandons:
            await self._counted("abandon", self.backend.abandon(key, csr, handle))

    async def _counted(self, call: str, answer: Awaitable[T], bounded: Callable[[T], T] = lambda given: given) -> T:
        outcome = "error"
        try:
            async with asyncio.timeout(_PATIENCE):
                given = await answer
            result = bounded(given)
            outcome = "ok"
            return result
        except TimeoutError:
            outcome = "timeout"
            message = f"the CA did not answer within {_PATIENCE:.0f} s"
            raise Failed(Reason.ISSUER_UNAVAILABLE, message) from None
        except Retryable as error:
            outcome = "retryable"
            after = bounded_pause(error.after)
            if isinstance(error, Lapsed):
                raise Failed(Reason.ORDER_FAILED, redact(str(error)), after=after) from error
            message, nothing = redact(str(error)), call == "submit" and error.unplaced
            raise Failed(Reason.ISSUER_UNAVAILABLE, message, after=after, unplaced=nothing) from error
        except Rejected as error:
            outcome = "rejected"
            raise Failed(Reason.REJECTED, redact(str(error))) from error
        except BackendError as error:
            outcome = "misconfigured"
            raise Failed(Reason.ISSUER_NOT_READY, redact(str(error)), by_issuer=True) from error
        except _OutOfBounds as error:
            text = f"backend {self.name} {error}"
            raise Failed(Reason.ANSWER_MISMATCH, text) from None
        except (KubeError, Unreachable):
            raise  # of a Secret that it reads: the API server's fault
        except Exception as error:
            # Its text may hold anything, so it goes to the log alone.
            logger.exception("%s: backend %s: unexpected, at %s", self.issuer, self.name, call)
            raise Failed(Reason.ISSUER_UNAVAILABLE, describe_unexpected(self.name, error)) from error
        finally:
            CA_CALLS.labels(self.name, call, outcome).inc()


def _answer(answer: Issued | Pending) -> Issued | Pending:
    """Raises _OutOfBounds."""
    if isinstance(answer, Pending):
        if len(answer.handle.encode()) > _LARGEST_HANDLE:
            raise _OutOfBounds(f"asks to keep more of an order than the {_LARGEST_HANDLE} bytes available")
        return replace(answer, message=redact(answer.message), poll_after=bounded_pause(answer.poll_after) or SHORTEST)
    for what, count, most in (
        ("certificates", len(answer.certificates), _MOST_CERTIFICATES),
        ("roots", len(answer.roots), _MOST_ROOTS),
    ):
        if count > most:
            raise _OutOfBounds(f"gave {count} {what}, of which a chain has {most} at most: leave out some")
    if len(answer.reference) > _LONGEST_REFERENCE or not answer.reference.isprintable():
        raise _OutOfBounds(f"answered with a reference of more than {_LONGEST_REFERENCE} printable characters")
    try:
        return replace(answer, renewal=_renewal(answer.renewal))
    except _OutOfBounds:
        return replace(answer, renewal=None)  # the certificate is good nevertheless


def _first_answer(answer: Issued | Pending) -> Issued | Pending:
    """As `_answer`: an order that was only just placed may be looked at once its handle is kept."""
    bounded = _answer(answer)
    if isinstance(answer, Pending) and isinstance(bounded, Pending) and answer.handle and not answer.poll_after:
        return replace(bounded, poll_after=answer.poll_after)
    return bounded


def _renewal(renewal: Renewal | None) -> Renewal | None:
    """Raises _OutOfBounds."""
    if renewal is None:
        return None
    start, end = renewal.start, renewal.end
    if start.tzinfo is None or end.tzinfo is None or start.year not in _YEARS or end.year not in _YEARS or start >= end:
        raise _OutOfBounds("suggests a renewal in a time that does not begin before it ends")
    again = bounded_pause(renewal.ask_after) or SHORTEST
    return replace(renewal, ask_after=again, explanation=redact(renewal.explanation))
