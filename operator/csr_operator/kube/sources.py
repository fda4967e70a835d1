"""How what is watched (`resources.WATCHED`) is listed and followed."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp

from csr_operator.api.keys import Kind

from .batches import Batches
from .bodies import MOST_BYTES, MOST_WHOLE, parse_event, parse_metadata_event, read_lines
from .errors import Unreachable
from .objects import Object
from .resources import WATCHED, Resource
from .transport import JSON, METADATA, Transport, error_text

_PAGE_OF_WHOLES = 100
_WATCH_SECONDS = 300


class Source(NamedTuple):
    """What is listed and watched together."""

    kind: Kind
    namespace: str
    """Empty for the whole cluster."""

    @property
    def resource(self) -> Resource:
        """Where the API has it."""
        return WATCHED[self.kind]

    def __str__(self) -> str:
        plural = self.resource.plural
        return f"{plural} in namespace {self.namespace}" if self.namespace else plural


async def list_pages(transport: Transport, source: Source) -> AsyncIterator[Object]:
    """All that there is of `source`, in lists of some. Raises KubeError, Unreachable."""
    resource = source.resource
    plural, path, query = resource.plural, resource.path(source.namespace), _filter(resource)
    if resource.metadata_only:
        pages = transport.pages(plural, path, query)
    else:
        pages = transport.pages(plural, path, query, JSON, size=_PAGE_OF_WHOLES, most_of_one=MOST_WHOLE)
    async for page in pages:
        yield page


async def watch_events(transport: Transport, source: Source, resource_version: str) -> AsyncIterator[Object]:
    """Watch events since then, until the server ends it. Raises KubeError, and Unreachable for a line that is none as
    well: whoever follows has to list again."""
    resource = source.resource
    query = {
        **_filter(resource),
        "resourceVersion": resource_version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(_WATCH_SECONDS),
    }
    path, accept = resource.path(source.namespace), METADATA if resource.metadata_only else JSON
    response = await transport.watch(resource.plural, path, query, accept)
    batches = Batches(response)
    chunks = batches.chunks() if resource.in_batches else response.content.iter_any()
    try:
        async for line in read_lines(chunks, MOST_BYTES if resource.metadata_only else MOST_WHOLE):
            yield parse_metadata_event(line, resource.kind) if resource.metadata_only else await parse_event(line)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(f"watch {resource.plural}: {error_text(error)}") from error
    finally:
        batches.end()
        response.close()


def _filter(resource: Resource) -> dict[str, str]:
    return {"labelSelector": resource.selector} if resource.selector else {}
