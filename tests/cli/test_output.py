"""What programs read."""

from datetime import UTC, datetime

import pytest
import yaml

from csr_operator.cli.output import as_yaml
from csr_operator.cli.reasons import Unsaid
from csr_operator.pki.errors import Missing, NotYet


@pytest.mark.parametrize(
    "text",
    [Unsaid.UNSEEN, Missing('DNS name: "www" is missing'), NotYet("in an hour", datetime(2026, 6, 1, tzinfo=UTC))],
)
def test_a_text_that_knows_more_of_itself_is_a_text_in_yaml(text: str) -> None:
    assert yaml.safe_load(as_yaml({"text": text})) == {"text": text}
