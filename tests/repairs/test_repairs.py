"""Somebody who changes a Secret all the time, and an operator that puts it right."""

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.control.repairs import Repairs
from tests.support.entries import entries_of

WWW = ObjectKey(Kind.CERTIFICATE_REQUEST, "n", "www")
OTHER = ObjectKey(Kind.CERTIFICATE_REQUEST, "n", "other")


def made_within(repairs: Repairs, begin: float, seconds: float) -> int:
    """How many are made where each is undone at once."""
    now, made = begin, 0
    while now < begin + seconds:
        if (wait := repairs.wait(WWW, now)) > 0:
            now += wait
            continue
        repairs.note(WWW, now)
        now, made = now + 0.01, made + 1
    return made


def test_a_fight_over_a_secret_is_slow() -> None:
    repairs = Repairs()
    assert made_within(repairs, 1000.0, 1.0) == 5
    assert made_within(repairs, 1001.0, 3600.0) < 70


def test_others_are_repaired_at_once() -> None:
    repairs = Repairs()
    made_within(repairs, 1000.0, 60.0)
    assert repairs.wait(OTHER, 1060.0) == 0


def test_after_a_quiet_while_it_is_at_once_again() -> None:
    repairs = Repairs()
    made_within(repairs, 1000.0, 600.0)
    assert repairs.wait(WWW, 2000.0) == 0
    assert made_within(repairs, 2000.0, 1.0) == 5


def test_what_is_gone_is_forgotten() -> None:
    repairs = Repairs()
    made_within(repairs, 1000.0, 60.0)
    repairs.forget(WWW)
    assert repairs.wait(WWW, 1060.0) == 0


def test_what_was_repaired_and_went_meanwhile_is_forgotten() -> None:
    repairs = Repairs()
    for number in range(1000):
        repairs.note(ObjectKey(Kind.CERTIFICATE_REQUEST, "n", f"www-{number}"), 1000.0 + 60 * number)

    assert sum(entries_of(repairs).values()) <= 6
