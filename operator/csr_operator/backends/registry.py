"""Finds backends, ours and third-party ones, by the entry point group `csr_operator.backends`."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from csr_operator.api.keys import InvalidSpec
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
        others = ", ".join(sorted(e.name for e in entry_points(group=GROUP) if not _is_own(e))) or "none"
        raise Misconfigured(
            f"spec.external.name: no backend {name} is installed: install the distribution that has it beside the "
            f"operator, or correct the name (installed: {others})"
        )
    loaded = next(iter(registered)).load()
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise Misconfigured(f"backend {name} is no class that inherits from csr_operator.plugin.Backend: update it")
    return loaded


def _is_own(entry: EntryPoint) -> bool:
    """It is one of the operator's own, which issuers name by a field of their spec."""
    return entry.dist is not None and entry.dist.name == "csr-operator"


def create(name: str, config: Mapping[str, Any], context: Context) -> Backend:
    """The backend of an issuer: `config` is what its spec says to the backend called `name`. Raises Misconfigured."""
    kind = load_backend(name)
    try:
        made: object = kind.create(config, context)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if not kind.__module__.startswith(f"{__package__}."):
            raise  # who knows what that has read
        text = str(error) if isinstance(error, InvalidSpec) else describe_unreadable(f"spec.{name}")
        raise Misconfigured(text) from None
    if not isinstance(made, Backend):
        where = f"{kind.__module__}:{kind.__qualname__}"
        text = f"backend {name} ({where}): its `create` returned {type(made).__name__}, and no Backend: update it"
        raise Misconfigured(text)
    check_traits(made)
    return made
