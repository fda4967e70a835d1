"""The published matrix is the one that is run."""

from pathlib import Path

from tests.conformance.matrix import page

ROOT = Path(__file__).parents[2]


def test_the_published_matrix_is_that_of_the_suite() -> None:
    assert (ROOT / "docs/conformance.md").read_text() == page()
