"""How often a Secret was put right: pure. Who changes it again and again is kept up with ever more slowly."""

from dataclasses import dataclass

_AT_ONCE = 5
_FIRST, _LONGEST = 1.0, 60.0
_CALM = 300.0
"""Seconds without a repair after which the next ones are made at once again."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """Of one Secret: how many in a row, and when the last one was, in seconds of a clock that only increases."""

    count: int = 0
    last: float = 0.0

    def wait(self, now: float) -> float:
        """How long the next one has to wait; 0 if it may be made now."""
        if self.count < _AT_ONCE or now - self.last >= _CALM:
            return 0.0
        pause = min(_FIRST * 2.0 ** (self.count - _AT_ONCE), _LONGEST)
        return max(self.last + pause - now, 0.0)

    def another(self, now: float) -> "Repairs":
        """With one that is made now."""
        return Repairs(min(self.count, 1000) + 1 if now - self.last < _CALM else 1, now)
