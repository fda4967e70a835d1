"""Finds backends, ours and third-party ones, by the entry point group `csr_operator.backends`."""

from functools import cache
from importlib.metadata import entry_points
from typing import cast

from csr_operator.plugin.backend import Backend
from csr_operator.plugin.errors import Misconfigured

GROUP = "csr_operator.backends"


@cache
def backend(name: str) -> type[Backend]:
    """The class registered as `name`: a field of an issuer's `spec`, or its `external.name`. Raises Misconfigured."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = ", ".join(sorted(e.name for e in entry_points(group=GROUP)))
        raise Misconfigured(
            f"no backend {name} is installed: install the distribution that has it beside the operator, or use one of "
            f"{known}"
        )
    return cast(type[Backend], next(iter(found)).load())
