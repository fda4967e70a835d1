"""What a backend remembers of its orders, which are asked for whenever it does not know: it has a bound."""

from collections import UserDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MOST = 10_000


class Recent(UserDict[K, V]):
    """A dictionary of at most `most` entries. Where there are more, the one goes that was set longest ago: of an order
    that was deleted meanwhile nobody may have told."""

    def __init__(self, most: int = _MOST) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.data.pop(key, None)
        if len(self.data) >= self._most:
            del self.data[next(iter(self.data))]
        self.data[key] = value
