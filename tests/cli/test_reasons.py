"""Each reason has its row, and each row says what there is to say."""

import string

import pytest

from csr_operator.api.reasons import ROWS, Reason, Row, Seen, With
from csr_operator.cli import reasons
from csr_operator.control.queue import FIRST_RETRY, LAST_RETRY

WORDS = {"request", "secret", "issuer", "namespace", "generation"}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_reason_has_a_row() -> None:
    assert {*ROWS} == {*Reason}


def test_every_reason_of_the_plug_in_is_explained() -> None:
    assert reasons.UNSAID.keys() == {*reasons.Unsaid}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_row_says_what_it_means_and_what_to_do(row: Row) -> None:
    assert row.meaning.endswith(".")
    assert row.meaning[0].isupper()
    assert not row.detail or row.detail.endswith(".")
    assert not row.remedy or row.remedy.endswith(".")
    assert bool(row.remedy) is (row.seen is not Seen.CERTIFICATE)
    assert placeholders(row.meaning) | placeholders(row.remedy) <= WORDS


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_only_somebody_else_can_mend_is_stalled(row: Row) -> None:
    """Nothing is tried again, so nothing may say that it goes on by itself."""
    assert not row.permanent or row.beside is With.STALLED


@pytest.mark.parametrize("advice", reasons.UNSAID.values(), ids=reasons.UNSAID)
def test_what_the_plug_in_finds_says_what_to_do(advice: reasons.Advice) -> None:
    assert advice.meaning.endswith(".")
    assert advice.remedy.endswith(".")
    assert placeholders(advice.meaning) | placeholders(advice.remedy) <= WORDS


@pytest.mark.parametrize("remedy", reasons.UNOWNED.values(), ids=reasons.UNOWNED)
def test_what_to_do_with_a_secret_of_nobody_has_known_placeholders_only(remedy: str) -> None:
    assert placeholders(remedy) <= WORDS


def test_when_it_is_tried_again_is_what_is_said() -> None:
    meaning = reasons.REQUEST["IssuerUnavailable"].meaning
    assert FIRST_RETRY == 1.0
    assert "after a second at first" in meaning
    assert LAST_RETRY == 60.0
    assert "at most a minute" in meaning
