"""What is listed and watched: the operator's own kinds whole, and of its Secrets the metadata alone.

The server filters Secrets by label, so that the Secrets of others cost nothing, and no key is ever sent here.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp

from csr_operator.api.keys import Kind
from csr_operator.api.names import MANAGED_LABEL

from .bodies import MOST_BYTES, MOST_WHOLE, parse_event, parse_secret_event, read_lines
from .errors import Unreachable
from .objects import Object
from .resources import OURS, SECRETS, Resource
from .transport import JSON, METADATA, Transport, error_text

_PAGE_OF_WHOLES = 100
_WATCH_SECONDS = 300


class Source(NamedTuple):
    """What is listed and watched together."""

    kind: Kind | None
    """None for the operator's own Secrets."""

    namespace: str
    """Empty for the whole cluster."""

    @property
    def resource(self) -> Resource:
        """Where the API has it."""
        return SECRETS if self.kind is None else OURS[self.kind]

    def __str__(self) -> str:
        plural = self.resource.plural
        return f"{plural} in namespace {self.namespace}" if self.namespace else plural


async def list_pages(transport: Transport, source: Source) -> AsyncIterator[Object]:
    """All that there is of `source`, in lists of some. Raises KubeError, Unreachable."""
    plural, path = source.resource.plural, source.resource.path(source.namespace)
    if source.kind is None:
        pages = transport.pages(plural, path, {"labelSelector": MANAGED_LABEL})
    else:
        pages = transport.pages(plural, path, {}, JSON, size=_PAGE_OF_WHOLES, most_of_one=MOST_WHOLE)
    async for page in pages:
        yield page


async def watch_events(transport: Transport, source: Source, resource_version: str) -> AsyncIterator[Object]:
    """Watch events since then, until the server ends it. Raises KubeError, and Unreachable for a line that is none as
    well: whoever follows has to list again."""
    secrets, plural = source.kind is None, source.resource.plural
    query = {
        **({"labelSelector": MANAGED_LABEL} if secrets else {}),
        "resourceVersion": resource_version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(_WATCH_SECONDS),
    }
    path = source.resource.path(source.namespace)
    response = await transport.watch(plural, path, query, METADATA if secrets else JSON)
    try:
        async for line in read_lines(response.content, MOST_BYTES if secrets else MOST_WHOLE):
            yield parse_secret_event(line) if secrets else await parse_event(line)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(f"watch {plural}: {error_text(error)}") from error
    finally:
        response.close()
