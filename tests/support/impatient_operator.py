"""`python -m tests.support.impatient_operator SECONDS ARGUMENTS...`: csr-operator that takes silence for death sooner.

As usual it waits for a minute or two, which no test should; nor for long between two attempts at a watch.
"""

import sys
from functools import partial
from unittest.mock import patch

import csr_operator.__main__ as command
from csr_operator import watch
from csr_operator.settings import Settings
from tests.support.fresh_metrics import keep_nothing

if __name__ == "__main__":
    keep_nothing()
    seconds = float(sys.argv[1])
    with (
        patch.object(command, "Settings", partial(Settings, api_timeout=seconds, watch_silence=seconds)),
        patch.object(watch, "_LONGEST_PAUSE", 1.0),
    ):
        sys.exit(command.main(sys.argv[2:]))
