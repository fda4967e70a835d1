"""csr-operator that takes silence for death sooner.

As usual it waits for a minute or two, which no test should; nor for long between two attempts at a watch.
"""

from dataclasses import replace

from csr_operator.__main__ import main
from csr_operator.manager.operator import Operator
from csr_operator.settings import Settings


def run(seconds: float, arguments: list[str]) -> int:
    """After `seconds`."""

    def hurried(given: Settings) -> Settings:
        return replace(given, api_timeout=seconds, watch_silence=seconds, watch_pause=1.0, metrics_kept=0.0)

    return main(arguments, lambda given: Operator(hurried(given)))
