"""csr-operator that takes silence for death sooner.

As usual it waits for a minute or two, which no test should; nor for long between two attempts at a watch.
"""

from functools import partial
from unittest.mock import patch

import csr_operator.__main__ as command
from csr_operator.manager import watch
from csr_operator.settings import Settings
from tests.support.fresh_metrics import keep_nothing


def run(seconds: float, arguments: list[str]) -> int:
    """After `seconds`."""
    keep_nothing()
    with (
        patch.object(command, "Settings", partial(Settings, api_timeout=seconds, watch_silence=seconds)),
        patch.object(watch, "_LONGEST_PAUSE", 1.0),
    ):
        return command.main(arguments)
