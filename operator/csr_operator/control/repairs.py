"""How often a Secret was put right: pure. Who changes it again and again is kept up with ever more slowly."""

from csr_operator.api.keys import ObjectKey

_AT_ONCE = 5
_FIRST, _LONGEST = 1.0, 60.0
_CALM = 300.0
"""Seconds without a repair after which the next ones are made at once again."""


class Repairs:
    """Times are in seconds, of a clock that only increases."""

    def __init__(self) -> None:
        # How many in a row, and when the last one was; the earliest first.
        self._made: dict[ObjectKey, tuple[int, float]] = {}

    def wait(self, request: ObjectKey, now: float) -> float:
        """How long the next repair for this request has to wait; 0 if it may be made now."""
        count, last = self._made.get(request, (0, 0.0))
        if count < _AT_ONCE or now - last >= _CALM:
            return 0.0
        pause = min(_FIRST * 2.0 ** (count - _AT_ONCE), _LONGEST)
        return max(last + pause - now, 0.0)

    def note(self, request: ObjectKey, now: float) -> None:
        """One is made now."""
        count, last = self._made.pop(request, (0, 0.0))
        self._made[request] = (min(count, 1000) + 1 if now - last < _CALM else 1, now)
        # Also of those that went before it was noted.
        while now - self._made[first := next(iter(self._made))][1] >= _CALM:
            del self._made[first]

    def forget(self, request: ObjectKey) -> None:
        """It is gone."""
        self._made.pop(request, None)
