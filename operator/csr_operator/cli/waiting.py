"""Waiting for what the operator does after a wish was written."""

import asyncio
from collections.abc import Callable

from csr_operator.api.conditions import Condition
from csr_operator.api.parse_request import parse_request
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.times import parse_duration

from .cluster import Cluster
from .errors import CommandFailed
from .output import one_line
from .state import held_by, needs_somebody


class Patience:
    """How long is waited for all of what one command waits for, such as `5m`, from now on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = asyncio.get_running_loop().time() + parse_duration(text).total_seconds()


async def wait_for(
    cluster: Cluster,
    before: CertificateRequest,
    done: Callable[[CertificateRequest], bool],
    patience: Patience,
    refusal: Reason | None = None,
) -> CertificateRequest:
    """The request as soon as `done` says so.

    Raises CommandFailed when that takes too long, and when the operator says something new that the user has to see to:
    it is Stalled, it cannot be renewed, or the reason is `refusal`.
    """
    known, latest = held_by(before), parse_request(await cluster.get(before.key))
    try:
        async with asyncio.timeout_at(patience.end):
            if done(latest):
                return latest
            async for obj in cluster.changes(before.key):
                latest = parse_request(obj)
                if done(latest):
                    return latest
                held = held_by(latest)
                if held is None or (known is not None and held.says_the_same(known)):
                    continue
                stuck = needs_somebody(held) and not _goes_on(latest)
                if stuck or held.reason == refusal:
                    raise CommandFailed(f"{before.name}: {_describe(held)}")
    except TimeoutError:
        pass
    raise CommandFailed(f"{before.name}: timed out after {patience.text}: {_describe(held_by(latest))}")


def _goes_on(request: CertificateRequest) -> bool:
    """Also a renewal that is Stalled because it is late may be on its way."""
    renewing = request.status.condition("Renewing")
    return renewing is not None and renewing.status == "True"


def _describe(held: Condition | None) -> str:
    if held is None:
        return "the operator reports nothing about it: check that it runs"
    return f"{held.reason}: {one_line(held.message)}"
