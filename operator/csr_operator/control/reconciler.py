"""What a kind of object is to the workers: the seam at which another kind is added.

The names are those of controller-runtime (https://pkg.go.dev/sigs.k8s.io/controller-runtime/pkg/reconcile).
"""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from csr_operator.api.keys import ObjectKey, Raw, SecretKey

Key = ObjectKey | SecretKey


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing went wrong."""

    after: timedelta | None = None
    """When to look again, with no event; 0 for at once, None for never, or when that was due already."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It came to nothing: look again after a pause that grows with each time in a row."""

    at_least: timedelta = timedelta(0)
    why: str = ""
    """For the log; empty if it was told already."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such object: what is known of its key is dropped."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The rest takes as long as somebody else, such as a CA, likes: it is done beside the workers, and the key is not
    worked on until it is over."""

    work: Coroutine[Any, Any, "Done | Retry"]


Outcome = Done | Retry | Gone | Aside


class Reconciler(Protocol):
    """One kind of object. What the watch shows is filed at once, and all work is done by `reconcile`."""

    def observe(self, obj: Raw) -> None:
        """It is there, or has changed: file it, and wake what depends on it. No I/O; never raises for what is in it."""
        ...

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        """The one with `uid` is gone, since `resource_version`; another of its name may be there already."""
        ...

    def shard(self, key: Key) -> int | None:
        """Which replica this is the work of; None: of each."""
        ...

    def known(self, namespace: str) -> Mapping[Key, str]:
        """All that were seen in `namespace` (empty: in all), understood or not, with the UIDs by which they are told
        apart; empty ones, if they are not."""
        ...

    async def reconcile(self, key: Key) -> Outcome:
        """Bring about what is wanted of the object of this name. Raises KubeError and Unreachable for a retry."""
        ...
