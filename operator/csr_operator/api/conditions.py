"""Conditions of an object's status (Kubernetes API conventions, "Typical status properties")."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `status.conditions` (Kubernetes API conventions, metav1.Condition)."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int = 0
    last_transition_time: str = ""

    def says_the_same(self, other: "Condition") -> bool:
        """Equal in all that a user reads; the time of transition follows from it."""
        return (self.status, self.reason, self.message, self.observed_generation) == (
            other.status,
            other.reason,
            other.message,
            other.observed_generation,
        )
