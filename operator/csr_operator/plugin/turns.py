"""Who waits for what there is not enough of, in turn: a namespace with ten thousand delays nobody else's one."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Turns(Generic[K]):
    """Each waits at most once. Namespaces come in turn, one of theirs at a time; within one, who came first.

    All is done in constant time, however many wait.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, OrderedDict[K, None]] = OrderedDict()  # whose turn it is comes first
        self._count = 0

    def add(self, namespace: str, key: K) -> None:
        """Who waits already keeps its place."""
        line = self._lines.setdefault(namespace, OrderedDict())
        if key not in line:
            line[key] = None
            self._count += 1

    def discard(self, namespace: str, key: K) -> None:
        """`key` waits no more, if it did."""
        line = self._lines.get(namespace)
        if line is not None and key in line:
            del line[key]
            self._count -= 1
            if not line:
                del self._lines[namespace]

    def pop(self, without: str | None = None) -> K | None:
        """Whose turn it is, who then waits no more; None if nobody waits. without: a namespace that has had enough."""
        namespace = next((candidate for candidate in self._lines if candidate != without), None)
        if namespace is None:
            return None
        line = self._lines.pop(namespace)
        key, _ = line.popitem(last=False)
        self._count -= 1
        if line:
            self._lines[namespace] = line  # at the end: all others come first
        return key

    def __len__(self) -> int:
        return self._count
