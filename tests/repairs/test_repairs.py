"""Somebody who changes a Secret all the time, and an operator that puts it right."""

from csr_operator.repairs import Repairs


def made_within(repairs: Repairs, begin: float, seconds: float) -> tuple[int, Repairs]:
    """How many are made where each is undone at once, and what is known of them."""
    now, made = begin, 0
    while now < begin + seconds:
        if (wait := repairs.wait(now)) > 0:
            now += wait
            continue
        repairs = repairs.another(now)
        now, made = now + 0.01, made + 1
    return made, repairs


def test_a_fight_over_a_secret_is_slow() -> None:
    made, repairs = made_within(Repairs(), 1000.0, 1.0)
    assert made == 5
    assert made_within(repairs, 1001.0, 3600.0)[0] < 70


def test_after_a_quiet_while_it_is_at_once_again() -> None:
    _, repairs = made_within(Repairs(), 1000.0, 600.0)
    assert repairs.wait(1600.0) > 0
    assert repairs.wait(2000.0) == 0
    assert made_within(repairs, 2000.0, 1.0)[0] == 5
