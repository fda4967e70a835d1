"""Finds backends, ours and third-party ones, by the entry point group `csr_operator.backends`."""

from functools import cache
from importlib.metadata import entry_points
from typing import cast

from .base import Backend, Misconfigured

GROUP = "csr_operator.backends"


@cache
def backend(name: str) -> type[Backend]:
    """The class registered as `name`, the field's name in an issuer's `spec`; raises Misconfigured."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = ", ".join(sorted(e.name for e in entry_points(group=GROUP)))
        raise Misconfigured(f"spec.{name}: no such backend is installed; there are {known}")
    return cast(type[Backend], next(iter(found)).load())
