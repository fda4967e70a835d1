"""Which provider an issuer's `dns01` object names."""

from collections.abc import Mapping
from typing import Any

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured

from .acme_dns import AcmeDns
from .base import MakeProvider, Provider
from .lexicon import Lexicon
from .programs import Exec
from .resolve import make_resolver
from .rfc2136 import Rfc2136
from .webhook import Webhook

PROVIDERS: Mapping[str, MakeProvider] = {
    "rfc2136": Rfc2136,
    "acmeDNS": AcmeDns,
    "lexicon": Lexicon,
    "webhook": Webhook,
    "exec": Exec,
}
"""By the property of `dns01` that names it."""


def make_provider(config: Mapping[str, Any], context: Context, field: str) -> Provider:
    """From a `dns01` object, whose place in the issuer is `field`. Raises Misconfigured. No I/O."""
    named = [kind for kind in PROVIDERS if config.get(kind) is not None]
    if len(named) != 1:
        raise Misconfigured(f"{field}: set exactly one of {', '.join(PROVIDERS)}")
    (kind,) = named
    return PROVIDERS[kind](config[kind], context, make_resolver(config, field), f"{field}.{kind}")
