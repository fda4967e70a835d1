"""How much there is in what an object keeps."""

from collections import UserDict, deque
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

# No abstract ones: these keep something of each type that they are asked about.
_CONTAINERS = (dict, UserDict, set, frozenset, list, deque, WeakKeyDictionary, WeakValueDictionary, WeakSet)


def entries_of(obj: Any) -> dict[str, int]:
    """By attribute, how many entries its containers have, and the containers in these."""
    return {
        name: len(value) + sum(len(inner) for inner in _members(value) if isinstance(inner, _CONTAINERS))
        for name, value in _attributes(obj)
        if isinstance(value, _CONTAINERS) and not name.startswith("__")
    }


def _members(container: Any) -> list[Any]:
    has_values = isinstance(container, dict | UserDict | WeakKeyDictionary | WeakValueDictionary)
    return list(container.values()) if has_values else list(container)


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(obj, "__dict__", {}).items())
    for owner in type(obj).__mro__:
        slots = owner.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(obj, name):
                yield name, getattr(obj, name)
