"""Several operators that share their work, and what they say of themselves."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from csr_operator.api.replicas import Group
from csr_operator.api.shards import SHARDS
from tests.support.kubectl import Kubectl, wait_until
from tests.support.operator import NAMESPACE, OperatorProcess

_ASSIGNMENT = "csr-operator-shards."


class Replicas:
    """Operators that are started with the same arguments."""

    def __init__(self, credentials: Path, folder: Path, kubectl: Kubectl, *arguments: str) -> None:
        self._credentials, self._folder, self._kubectl, self._arguments = credentials, folder, kubectl, arguments
        self._running = ExitStack()
        self._count = 0

    def start(self, *more: str, settable: bool = False) -> OperatorProcess:
        """One more, until it is ready; ended with the others. more: arguments of its own. settable: as of
        OperatorProcess."""
        self._count += 1
        log = self._folder / f"replica-{self._count}.log"
        return self._running.enter_context(
            OperatorProcess(self._credentials, log, *self._arguments, *more, settable=settable)
        )

    def close(self) -> None:
        """End all that still run."""
        self._running.close()

    def holders(self) -> dict[str, int]:
        """How many shards each member has."""
        return {member: len(shards) for member, shards in self.shards().items()}

    def shards(self) -> dict[str, set[int]]:
        """Those of each member."""
        leases = self._kubectl.list("leases", "--namespace", NAMESPACE, "-l", f"csr-operator.dev/replicas={self.group}")
        for lease in leases:
            if lease["metadata"]["name"].startswith(_ASSIGNMENT):
                shards = json.loads(lease["metadata"]["annotations"]["csr-operator.dev/shards"])
                return {member: set(numbers) for member, numbers in shards.items()}
        return {}

    @property
    def group(self) -> str:
        """The label's value that they have in common."""
        return Group.of([self._kubectl.namespace]).name

    def wait_shared(self, count: int, seconds: float = 60) -> dict[str, int]:
        """Wait until so many have all shards between them, as evenly as can be."""

        def shared() -> dict[str, int] | None:
            holders = self.holders()
            even = holders and max(holders.values()) <= -(-SHARDS // count)
            return holders if even and len(holders) == count and sum(holders.values()) == SHARDS else None

        return wait_until(f"{count} members share {SHARDS} shards", shared, seconds)


@contextmanager
def replicas(credentials: Path, folder: Path, kubectl: Kubectl, *arguments: str) -> Iterator[Replicas]:
    """None runs yet."""
    running = Replicas(credentials, folder, kubectl, "--namespace", kubectl.namespace, *arguments)
    try:
        yield running
    finally:
        running.close()
