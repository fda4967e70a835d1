"""Whatever users do while the API server fails in all its ways: when it is well again, all is as they asked for.

FAULTS_SEED is where it begins, and is told with what fails; where processes are real, a seed repeats what was done, and
not at which moment of it. FAULTS_SECONDS goes on with one seed after another for so long.
"""

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from devcluster import ControlPlane
from tests.resilience.machine import FaultMachine, Stage
from tests.support.third_party import EXAMPLE, HttpCa, install

SEED = int(os.environ.get("FAULTS_SEED", "20261129"))
SECONDS = float(os.environ.get("FAULTS_SECONDS", "0"))
STEPS = 30


@pytest.fixture(scope="module")
def stage(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("machine")
    (installed := folder / "installed").mkdir()
    install(EXAMPLE, installed)
    with HttpCa() as ca:
        yield Stage(cluster, operator_credentials, installed, folder, ca)


def _live(stage: Stage, seed: int, lives: int) -> None:
    print(f"FAULTS_SEED={seed}")

    class Machine(FaultMachine):
        pass

    Machine.stage = stage
    run_state_machine_as_test(
        hypothesis.seed(seed)(Machine),
        settings=settings(
            max_examples=lives,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=False,
            database=None,
            phases=(Phase.generate,),  # none to make it smaller: that takes hours, and it may not fail again
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )


@pytest.mark.parametrize("replicas", [1, 2], ids=["alone", "two replicas"])
def test_edits_and_faults_in_any_order(stage: Stage, replicas: int) -> None:
    began = time.monotonic()
    stage = Stage(stage.cluster, stage.credentials, stage.installed, stage.folder, stage.ca, replicas)
    for seed in itertools.count(SEED + replicas):
        _live(stage, seed, lives=1)
        if time.monotonic() - began >= SECONDS / 2:
            return
