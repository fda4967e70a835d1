"""Finds backends, ours and third-party ones, by the entry point group `csr_operator.backends`."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from csr_operator.api.reading import describe_unreadable
from csr_operator.plugin.backend import Backend, check_traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured

GROUP = "csr_operator.backends"


@cache
def load_backend(name: str) -> type[Backend]:
    """The class registered as `name`: a field of an issuer's `spec`, or its `external.name`. Raises Misconfigured."""
    registered = entry_points(group=GROUP, name=name)
    if not registered:
        known = ", ".join(sorted(e.name for e in entry_points(group=GROUP)))
        raise Misconfigured(
            f"no backend {name} is installed: install the distribution that has it beside the operator, or use one of "
            f"{known}"
        )
    loaded = next(iter(registered)).load()
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise Misconfigured(f"backend {name} is no class that inherits from csr_operator.plugin.Backend: update it")
    return loaded


def create(name: str, config: Mapping[str, Any], context: Context) -> Backend:
    """The backend of an issuer: `config` is what its spec says to the backend called `name`. Raises Misconfigured."""
    kind = load_backend(name)
    try:
        made = kind.create(config, context)
    except (AttributeError, KeyError, TypeError, ValueError):
        if not kind.__module__.startswith(f"{__package__}."):
            raise  # who knows what that has read
        raise Misconfigured(describe_unreadable(f"spec.{name}")) from None
    check_traits(made)
    return made
