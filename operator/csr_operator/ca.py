"""One issuer's CA as the rest of the operator calls it: counted, timed, and with its errors put into words."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from cryptography import x509

from .backends.base import (
    Abandons,
    Backend,
    BackendError,
    Issued,
    Lapsed,
    Order,
    Pending,
    Rejected,
    Renewal,
    Retryable,
    SuggestsRenewal,
)
from .errors import Failed
from .kube import KubeError, Unreachable
from .metrics import CA_CALLS
from .policy import Policy

T = TypeVar("T")

_PATIENCE = 120.0
"""Seconds after which an answer is no longer waited for; backends have shorter limits of their own."""


logger = logging.getLogger(__name__)


def unexpected(backend: str, error: Exception) -> str:
    """For the user, of an error that a backend should not raise."""
    return f"backend {backend} failed in a way that its author did not expect: see {type(error).__name__} in the log"


class Ca:
    """issuer: as a Secret's annotations name it (`Kind/name`). name: the backend's. policy: the issuer's."""

    def __init__(self, issuer: str, name: str, backend: Backend, policy: Policy | None) -> None:
        self.issuer, self.name, self.backend, self.policy = issuer, name, backend, policy

    async def ask(self, order: Order, handle: str) -> Issued | Pending:
        """Place the order, or ask how the one with `handle` stands. Raises Failed."""
        if handle:
            return await self._counted("poll", self.backend.poll(order, handle))
        return await self._counted("submit", self.backend.submit(order))

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        """Raises Failed."""
        await self._counted("revoke", self.backend.revoke(certificate, reason))

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        """Raises Failed."""
        if not isinstance(self.backend, SuggestsRenewal):
            return None
        return await self._counted("suggest_renewal", self.backend.suggest_renewal(reference))

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        """Raises Failed."""
        if isinstance(self.backend, Abandons):
            await self._counted("abandon", self.backend.abandon(key, csr, handle))

    async def _counted(self, call: str, answer: Awaitable[T]) -> T:
        outcome = "error"
        try:
            async with asyncio.timeout(_PATIENCE):
                result = await answer
            outcome = "ok"
            return result
        except TimeoutError:
            outcome = "timeout"
            message = f"the CA did not answer within {_PATIENCE:.0f} s"
            raise Failed("IssuerUnavailable", message, by_issuer=True) from None
        except Retryable as error:
            outcome = "retryable"
            if isinstance(error, Lapsed):
                raise Failed("OrderFailed", str(error), by_issuer=True, after=error.after, lapsed=True) from error
            raise Failed("IssuerUnavailable", str(error), by_issuer=True, after=error.after) from error
        except Rejected as error:
            outcome = "rejected"
            raise Failed("Rejected", str(error), permanent=True, needs_user=True, by_issuer=True) from error
        except BackendError as error:
            outcome = "misconfigured"
            raise Failed("IssuerNotReady", str(error), by_issuer=True) from error
        except (KubeError, Unreachable):
            raise  # of a Secret that it reads: the API server's fault
        except Exception as error:
            # Its text may hold anything, so it goes to the log alone.
            logger.exception("%s: backend %s: unexpected, at %s", self.issuer, self.name, call)
            raise Failed("IssuerUnavailable", unexpected(self.name, error), by_issuer=True) from error
        finally:
            CA_CALLS.labels(self.name, call, outcome).inc()
