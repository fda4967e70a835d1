"""Reads fields of a dict that the Kubernetes API sent; what does not fit is told by the field's name."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from csr_operator.pki.errors import PkiError

from .conditions import Condition
from .keys import InvalidSpec, Raw
from .times import parse_duration

P = ParamSpec("P")
T = TypeVar("T")


def read_field(field: str, reader: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `reader` returns. Raises InvalidSpec, which names `field`, or what `reader` says of itself."""
    try:
        return reader(*args, **kwargs)
    except (InvalidSpec, PkiError):
        raise
    except Exception:
        raise InvalidSpec(describe_unreadable(field)) from None


def problem_of(error: Exception) -> str:
    """The words of what we raised ourselves; of all else, whose words may hold anything, only the field."""
    return str(error) if isinstance(error, InvalidSpec | PkiError) else describe_unreadable("spec")


def describe_unreadable(field: str) -> str:
    """What is said of a field whose value is of another kind than its schema has."""
    return f"{field}: it cannot be read: write it as `kubectl explain` shows"


def read_mapping(raw: Raw, name: str) -> Raw:
    """Empty if it is none."""
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def read_items(raw: Raw, name: str) -> Sequence[Any]:
    """Empty if it is no list."""
    value = raw.get(name)
    return value if isinstance(value, list | tuple) else ()


def read_text(raw: Raw, name: str) -> str:
    """Empty if it is no text."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def read_count(raw: Raw, name: str) -> int:
    """0 if it is no number that the API server could store."""
    value = raw.get(name)
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def read_below(raw: Raw, name: str) -> Raw:
    """Empty if it is absent. Raises TypeError for what is no map."""
    if not isinstance(value := _given(raw, name, {}), Mapping):
        raise TypeError
    return value


def read_list(raw: Raw, name: str) -> Sequence[Any]:
    """Empty if it is absent. Raises TypeError for what is no list."""
    if not isinstance(value := _given(raw, name, ()), list | tuple):
        raise TypeError
    return value


def read_flag(raw: Raw, name: str, where: str = "spec") -> bool:
    """False if it is absent. Raises InvalidSpec for what is no boolean: to most who write "false" it is not true."""
    if not isinstance(value := _given(raw, name, False), bool):
        raise InvalidSpec(f"{where}.{name}: it is not a boolean: write true or false, without quotation marks")
    return value


def read_choice(raw: Raw, name: str, choices: Sequence[str], where: str = "spec") -> str:
    """The first of the choices if it is absent. Raises InvalidSpec for what is none of them."""
    value = _given(raw, name, choices[0])
    if not isinstance(value, str) or value not in choices:
        raise InvalidSpec(f"{where}.{name}: it is none of those that there are: write {' or '.join(choices)}")
    return value


def _given(raw: Raw, name: str, default: Any) -> Any:
    """Only null counts as absent: what else is empty, or false, may have been meant to say something."""
    value = raw.get(name)
    return default if value is None else value


def read_pairs(raw: Raw) -> tuple[tuple[str, str], ...]:
    """A map of texts. Raises TypeError for anything else."""
    if not all(isinstance(key, str) and isinstance(value, str) for key, value in raw.items()):
        raise TypeError
    return tuple(raw.items())


def read_required(raw: Raw, name: str) -> str:
    """Raises KeyError if it is absent, TypeError if it is no text."""
    if not isinstance(value := raw[name], str):
        raise TypeError
    return value


def read_string(raw: Raw, name: str, where: str = "spec") -> str:
    """Empty if it is absent. Raises InvalidSpec for what is no text."""
    value = _given(raw, name, "")
    if not isinstance(value, str):
        raise InvalidSpec(describe_unreadable(f"{where}.{name}"))
    return value


def read_optional(raw: Raw, name: str) -> int | None:
    """None if it is absent. Raises TypeError for what is no number."""
    if not isinstance(value := raw.get(name), int | None) or isinstance(value, bool):
        raise TypeError
    return value


def read_conditions(status: Raw) -> tuple[Condition, ...]:
    """Without what is no condition."""
    return tuple(
        Condition(
            type=c["type"],
            status=read_text(c, "status"),
            reason=read_text(c, "reason"),
            message=read_text(c, "message"),
            observed_generation=read_count(c, "observedGeneration"),
            last_transition_time=read_text(c, "lastTransitionTime"),
        )
        for c in read_items(status, "conditions")
        if isinstance(c, Mapping) and isinstance(c.get("type"), str)
    )


def read_strings(raw: Raw, name: str, where: str = "") -> tuple[str, ...]:
    """where: the field that `raw` is; empty for the spec itself. Raises InvalidSpec for what is no list of texts."""
    values = _given(raw, name, ())
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        text = "it is not a list of texts: write it as a list, each entry in quotation marks"
        raise InvalidSpec(f"{where}.{name}: {text}" if where else f"{name}: {text}")
    return tuple(values)


def read_duration(raw: Raw, name: str, where: str = "spec") -> timedelta | None:
    """None if it is absent. Raises InvalidSpec for what is no duration."""
    text = raw.get(name)
    if text is None:
        return None
    try:
        if (duration := parse_duration(text)) <= _LONGEST_DURATION:
            return duration
    except (ValueError, TypeError, OverflowError):
        shown = repr(text) if isinstance(text, str) and len(text) <= 64 else "this"
        remedy = "is not a duration: write hours, minutes and seconds, such as 2160h or 1h30m"
        raise InvalidSpec(f"{where}.{name}: {shown} {remedy}") from None
    raise InvalidSpec(f"{where}.{name}: it is longer than 999999h: shorten it")


_LONGEST_DURATION = timedelta(hours=1_500_000)
"""More than admission lets through (its hours, minutes and seconds, each at most), and less than any date overflows by.
"""
