"""When CAs are asked about renewal, and what is made of what they say."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest

from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.control.issuers import KnownIssuer
from csr_operator.control.reconciler import Done
from csr_operator.control.renewal_advice import RenewalAdvice
from csr_operator.decisions.world import IssuerState
from csr_operator.issuance.failures import Failed
from csr_operator.issuance.issued_secrets import IssuedSecrets
from csr_operator.kube.events import Events
from csr_operator.plugin.backend import Renewal
from tests.control.scene import CA, Scene, make_request, make_secret

SUGGESTS = {CA: IssuerState(ready=True, message="", version="1", suggests=True)}
WWW = make_request()


class Ca:
    """Says one thing, or fails."""

    def __init__(self, answer: Renewal | Failed | None) -> None:
        self._answer = answer

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        assert reference == "42"
        if isinstance(self._answer, Failed):
            raise self._answer
        return self._answer


class Writer:
    """Has nothing to write."""

    async def note_renewal(self, request: CertificateRequest, renewal: Renewal | None) -> None:
        return None


class Asked:
    """An issuer as it is known."""

    def __init__(self, answer: Renewal | Failed | None) -> None:
        self.ca, self.issuer = Ca(answer), self
        self.key = CA


def advice(scene: Scene) -> RenewalAdvice:
    secrets, events = cast(IssuedSecrets, Writer()), cast(Events, scene.told)
    return RenewalAdvice(secrets, events, scene.store, scene.memory, asyncio.Semaphore(1), scene.clock)


def test_after_a_start_each_is_asked_about_within_an_hour_and_always_at_the_same_time() -> None:
    scene = Scene()
    scene.store.put_request(WWW)
    found, secret = advice(scene), make_secret(WWW, "42")
    due = found.due(WWW, secret, SUGGESTS)
    assert due is not None
    assert timedelta(0) <= due - scene.now <= timedelta(hours=1)
    scene.now += timedelta(minutes=30)
    assert found.due(WWW, secret, SUGGESTS) == due


@pytest.mark.parametrize("states", [{}, {CA: IssuerState(ready=True, message="", version="1")}], ids=["gone", "silent"])
def test_nobody_is_asked_who_has_no_say(states: dict[object, IssuerState]) -> None:
    scene = Scene()
    scene.store.put_request(WWW)
    assert advice(scene).due(WWW, make_secret(WWW, "42"), states) is None  # type: ignore[arg-type]
    assert advice(scene).due(WWW, make_secret(WWW), SUGGESTS) is None
    assert advice(scene).due(WWW, None, SUGGESTS) is None


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (None, timedelta(hours=6)),
        (Failed(Reason.ISSUER_UNAVAILABLE, "away"), timedelta(minutes=10)),
        (Failed(Reason.ISSUER_UNAVAILABLE, "away", after=timedelta(hours=2)), timedelta(hours=2)),
        (Failed(Reason.ISSUER_UNAVAILABLE, "away", after=timedelta(days=1)), timedelta(hours=6)),
    ],
    ids=["no opinion", "fails", "asks to wait", "asks to wait for long"],
)
async def test_when_it_is_asked_again(answer: Failed | None, again: timedelta) -> None:
    scene = Scene()
    scene.store.put_request(WWW)
    found, secret = advice(scene), make_secret(WWW, "42")
    found.note(WWW, "42", timedelta(0))
    assert await found.ask(WWW, cast(KnownIssuer, Asked(answer))) == Done(timedelta(0))
    assert found.due(WWW, secret, SUGGESTS) == scene.now + again


@pytest.mark.parametrize(
    ("after", "again"), [(timedelta(seconds=1), timedelta(minutes=1)), (timedelta(hours=1), timedelta(hours=1))]
)
async def test_no_ca_is_asked_more_often_than_each_minute(after: timedelta, again: timedelta) -> None:
    """It may suggest another time whenever it is asked, which is a write each."""
    scene = Scene()
    scene.store.put_request(WWW)
    found = advice(scene)
    found.note(WWW, "42", timedelta(0))
    renewal = Renewal(scene.now, scene.now + timedelta(days=1), after)
    await found.ask(WWW, cast(KnownIssuer, Asked(renewal)))
    assert found.due(WWW, make_secret(WWW, "42"), SUGGESTS) == scene.now + again


def test_a_clock_that_is_put_back_puts_no_question_off() -> None:
    scene = Scene()
    scene.store.put_request(WWW)
    found, secret = advice(scene), make_secret(WWW, "42")
    scene.now += timedelta(days=1)
    found.note(WWW, "42", timedelta(hours=6))
    scene.now -= timedelta(days=1)
    due = found.due(WWW, secret, SUGGESTS)
    assert due is not None
    assert due - scene.now <= timedelta(hours=1)
    assert found.due(WWW, secret, SUGGESTS) == due


async def test_of_a_request_that_went_nothing_is_asked_or_kept() -> None:
    scene = Scene()
    found = advice(scene)
    assert await found.ask(WWW, cast(KnownIssuer, Asked(Failed(Reason.ISSUER_UNAVAILABLE, "never asked")))) == Done()
    assert len(scene.memory) == 0
