"""kill -9 before and after each write and each call of a CA: what a reader sees is whole, and nothing is lost or left.

A life without a kill lists the points. Of all kills there are, `make test` tries some, the same each time;
CSR_OPERATOR_TEST_SEED has others. CRASH_MATRIX=all, of `make soak`, tries all, in an order that it shows.
"""

import os
import random
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.crashes.cas import CAS
from tests.crashes.life import AFTER, BEFORE, STAGES, Kill, Life
from tests.crashes.place import CaUnderTest, Place

WHOLE = os.environ.get("CRASH_MATRIX") == "all"
_TRIES = 3
"""How often a point is waited for that came up once, and need not come up again."""
_FURTHEST = 24
"""After so many sends and answers, most that take over have done what there was to do; who runs already, sooner."""

pytestmark = pytest.mark.slow("lives through many certificates")


@pytest.mark.parametrize("replicas", [1, 2] if WHOLE else [1], ids=lambda count: f"{count}")
@pytest.mark.parametrize("ca", [ca for ca in CAS if WHOLE or not ca.takes_long], ids=lambda ca: ca.name)
def test_a_kill_at_any_point_does_no_harm(
    ca: CaUnderTest, replicas: int, cluster: ControlPlane, operator_credentials: Path, tmp_path: Path
) -> None:
    seed = os.environ.get("CSR_OPERATOR_TEST_SEED") or (str(random.SystemRandom().getrandbits(32)) if WHOLE else "1")
    print(f"CSR_OPERATOR_TEST_SEED={seed}")  # shown where the test fails
    with ca.run(tmp_path) as place:
        lives = _Lives(cluster, operator_credentials, place, tmp_path, replicas)
        points = lives.live({}).points()
        matrix = _Matrix(points, random.Random(f"{seed}/{ca.name}"), _FURTHEST // replicas)
        if WHOLE:
            with ThreadPoolExecutor(ca.at_once) as pool:
                workers = [pool.submit(lives.try_all, matrix) for _ in range(ca.at_once)]
            for worker in workers:
                worker.result()
        else:
            matrix.note(lives.live(matrix.next_kills()))
    lives.tell(ca.name, points)
    print(f"did not come up again: {matrix.missed}")
    assert not lives.failures, "\n".join(lives.failures)
    assert not [kill for kill in matrix.missed if kill.point.endswith(" 1")], "what is repeated need not be each time"


@dataclass
class _Lives:
    """Each in a namespace of its own. failures: what was wrong, and where the operator was killed."""

    cluster: ControlPlane
    credentials: Path
    place: Place
    folder: Path
    replicas: int
    failures: list[str] = field(default_factory=list)
    seen: list[Life] = field(default_factory=list)

    def live(self, kills: Mapping[str, Kill]) -> Life:
        folder = Path(tempfile.mkdtemp(prefix="life-", dir=self.folder))
        life = Life(self.cluster, self.credentials, self.place, folder, kills, self.replicas)
        self.seen.append(life)
        try:
            life.live()
        except AssertionError as error:
            self.failures.append(f"{folder.name}, killed at {life.killed}: {error}")
            assert kills, self.failures
        return life

    def try_all(self, matrix: "_Matrix") -> None:
        """One life after another, until there is no more to try."""
        while kills := matrix.next_kills():
            matrix.note(self.live(kills))

    def tell(self, name: str, points: Mapping[str, list[str]]) -> None:
        """What was tried."""
        killed, again = (sum(len(life.killed) for life in self.seen), sum(life.killed_again for life in self.seen))
        what = f"{name}, {self.replicas} running: {sum(map(len, points.values()))} points"
        print(f"{what}, {len(self.seen)} lives, {killed} kills, and {again} of who took over")


class _Matrix:
    """Which kill is tried when: in each life one of each stage. furthest: for the second kill."""

    def __init__(self, points: Mapping[str, list[str]], chance: random.Random, furthest: int) -> None:
        self._left = {
            stage: [
                Kill(point, side, again=chance.choice((0, chance.randint(1, furthest))))
                for point in points[stage]
                for side in (BEFORE, AFTER)
            ]
            for stage in STAGES
        }
        for kills in self._left.values():
            chance.shuffle(kills)
        self._lock = threading.Lock()
        self._tried: dict[tuple[str, Kill], int] = {}
        self.missed: list[Kill] = []

    def next_kills(self) -> Mapping[str, Kill]:
        """Of the next life. Empty if there is no more to try: all came about, or were tried often enough."""
        with self._lock:
            return {stage: kills.pop(0) for stage, kills in self._left.items() if kills}

    def note(self, life: Life) -> None:
        """What came about in a life."""
        with self._lock:
            for stage, kill in life.kills.items():
                if life.killed.get(stage) == kill:
                    continue
                self._tried[stage, kill] = self._tried.get((stage, kill), 0) + 1
                if self._tried[stage, kill] < _TRIES:
                    self._left[stage].append(kill)
                else:
                    self.missed.append(kill)
