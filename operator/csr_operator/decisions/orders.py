"""The order under way: what it came to before a restart, and for how long an issuer that is out is waited for."""

from dataclasses import replace
from datetime import datetime, timedelta

from csr_operator.api.keys import issuer_name
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import NEVER, Record, Setback, Staged
from csr_operator.api.times import parse_time

from .pace import cause_of
from .serving import is_current
from .world import Failure, World

OUTAGES = (Reason.ISSUER_NOT_READY, Reason.ISSUER_UNAVAILABLE)
"""What stands in the way of an order that is good, and may yet go away."""

_PATIENCE = timedelta(minutes=10)
"""How long an order waits for its issuer to come back before another is asked, where no certificate serves."""


def recall_setback(request: CertificateRequest, world: World) -> World:
    """`world` with the failure on record with the order under way, which a restart has had the operator forget."""
    staged = world.staged
    if staged is None or not staged.authentic or (setback := staged.setback) is None:
        return world
    issuer = next((key for key in request.issuers if issuer_name(key) == staged.issuer), None)
    state = world.issuers.get(issuer) if issuer is not None else None
    if state is None or issuer in (world.failures or {}):
        return world
    if setback.cause not in ("", cause_of(request.wishes.renew, state.version)):
        return world  # since then something has changed that it may depend on
    final = setback.again == NEVER
    failure = Failure(
        reason=_reason_of(setback),
        message=setback.message or f"{staged.lapses} orders came to nothing; another one is placed at {setback.again}",
        issuer=issuer,
        generation=request.generation,
        wishes=request.wishes,
        version=state.version,
        retry_at=None if final else parse_time(setback.again),
        needs_user=final,
        # No pause is much longer than a day: what lies farther ahead was reckoned by a clock that was put back since.
        since=None if final else parse_time(setback.again) - timedelta(days=1, hours=1),
    )
    return replace(world, failures={**(world.failures or {}), issuer: failure})


def is_given_up(
    request: CertificateRequest, world: World, staged: Staged, record: Record | None, failure: Failure | None
) -> bool:
    """Whether another issuer is to be asked in the place of one that cannot be reached.

    At once if nothing was ordered for sure. If something was, or may have been, it is waited for as long as there is
    time: that costs less than a second order.
    """
    nothing = not staged.handle and failure is not None and failure.unplaced
    return nothing or world.now >= deadline(request, staged, record)


def deadline(request: CertificateRequest, staged: Staged, record: Record | None) -> datetime:
    """Until when an order waits for its issuer: half of what was left of the certificate when the order was placed."""
    begun = parse_time(staged.created)
    if not is_current(request, record, begun) or record is None:
        return begun + _PATIENCE
    return begun + max((parse_time(record.not_after) - begun) / 2, _PATIENCE)


def _reason_of(setback: Setback) -> Reason:
    """An older version gave none, and another one may give any."""
    try:
        return Reason(setback.reason)
    except ValueError:
        return Reason.ORDER_FAILED
