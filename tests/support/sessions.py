"""Sessions for HTTP in a test's own event loop."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.loop import abort_connections


@asynccontextmanager
async def session_trusting(ca_file: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Trusts what leads to the CAs in this file, and nothing else."""
    context = ssl.create_default_context(cafile=ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=False) as session:
        yield session
    # Those that the server wanted closed still wait for its last word of TLS, and are no session's any more.
    await abort_connections()
