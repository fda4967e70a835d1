"""Whether another certificate is asked for now: of which issuer, or what it waits for."""

from dataclasses import replace
from datetime import datetime

from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.times import format_time

from .actions import Hold, Issue
from .obstacles import find_obstacle
from .pace import wish_of
from .revocation import revokes_old
from .world import World


def try_issuers(
    request: CertificateRequest, world: World, reason: Reason, revision: int, *, revoke_old: bool = False
) -> Issue | Hold:
    """Issue from the first issuer that can be asked; else hold, with what stands in the way for each of them.

    revoke_old: the certificate that it replaces is to be revoked, whatever the spec says of rotation.
    """
    obstacles = []
    for key in request.issuers:
        obstacle = find_obstacle(request, world, key)
        if obstacle is None:
            return Issue(reason, revision, key, revokes_old(request, world, asked_to=revoke_old))
        obstacles.append((key, obstacle))
    if len(obstacles) == 1:
        return obstacles[0][1]
    holds = [hold for _, hold in obstacles]
    messages = (hold.message if hold.names_issuer else f"{key}: {hold.message}" for key, hold in obstacles)
    untils = [hold.until for hold in holds if hold.until is not None]
    return Hold(
        holds[0].reason,
        "; ".join(messages),
        needs_user=all(hold.needs_user for hold in holds),
        until=min(untils, default=None),
    )


def brake(request: CertificateRequest, world: World, action: Issue | Hold, due: datetime, cause: str) -> Issue | Hold:
    """The first early replacement at once, each further one in a row after a longer pause.

    due: when it came due. cause: what keeps it going, and what helps, for the user. Returns `action`, or a hold in its
    place.
    """
    pace = world.pace
    if isinstance(action, Hold) or pace is None or due >= pace.calm:
        return action
    if request.wishes.renew and wish_of(request.wishes.renew) != pace.wish:
        return action  # its user wants it now
    if world.now >= pace.next:
        return replace(action, hurries=pace.hurries + 1)
    text = (
        f"{pace.hurries + 1} certificates in a row had to be replaced within a tenth of their lifetime; the next one "
    )
    text += f"is issued at {format_time(pace.next)}: {cause}; "
    text += f"`kubectl csr renew {request.name} -n {request.namespace}` has it issued now"
    return Hold.of(Reason.RENEWAL_LOOP, text, until=pace.next)
