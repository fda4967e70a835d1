"""Secrets whose metadata makes no sense."""

import logging
from collections.abc import Callable
from typing import TypeVar

from csr_operator.api.keys import Raw
from csr_operator.api.secrets import SecretMeta
from csr_operator.metrics import UNREADABLE
from csr_operator.plugin.offload import locate_error

T = TypeVar("T")

logger = logging.getLogger(__name__)


def parse_or_set_aside(obj: Raw, parse: Callable[[], T]) -> T | SecretMeta:
    """What `parse` makes of it; what cannot be read counts as somebody else's Secret, which is never written to."""
    try:
        return parse()
    except Exception as error:
        UNREADABLE.labels("Secret").inc()
        metadata = obj["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        logger.warning("Secret %s/%s cannot be read, and is left alone: %s", namespace, name, locate_error(error))
        return SecretMeta(
            namespace=namespace,
            name=name,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            owner_uid="",
            owner="",
            intact_data=frozenset(),
            template_digest="",
            record=None,
        )
