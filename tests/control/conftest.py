"""A controller for tests that look at it alone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest

from csr_operator.api.seal import Seal
from csr_operator.api.shards import SHARDS
from csr_operator.challenges.responder import Challenges
from csr_operator.control.controller import Controller
from csr_operator.control.replica import ONLY_REPLICA
from csr_operator.kube.client import Kube
from csr_operator.kube.transport import Transport
from csr_operator.plugin.http import http_session
from csr_operator.settings import Settings


@pytest.fixture
async def controller() -> AsyncIterator[Controller]:
    """One that has not begun to work."""
    kube, challenges = Kube.over(cast(Transport, None)), cast(Challenges, None)
    controller = Controller(
        Settings(),
        kube,
        lambda: datetime.now(UTC),
        challenges,
        Seal(),
        http_session,
        ONLY_REPLICA,
    )
    controller.scope.take(frozenset(range(SHARDS)))
    yield controller
    await controller.stop()
