"""Does the world see the answer to an http-01 challenge? Asked before the CA is, as its failures count against limits.

Only one path is ever fetched, from any host and port that a CA would follow to, and of what comes back nothing is shown
but whether it is the answer.
"""

import asyncio
from urllib.parse import urljoin, urlsplit

import aiohttp

from csr_acme.challenges import HTTP_PATH

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_REDIRECTS = 10  # as many as Let's Encrypt follows
_LONGEST_URL = 1024
_LOOKS = 5
_PAUSE = 0.5
"""Seconds between two looks: for a moment, a proxy that was told of a path, or one of several, answers as before."""

_USER_AGENT = "csr-operator (http-01 self-check)"


async def find_unreachable(session: aiohttp.ClientSession, host: str, token: str, answer: str) -> str:
    """Why a CA would not find `answer` at http://host/.well-known/acme-challenge/token; empty if it would.

    host: a DNS name or IP address. A CA looks from elsewhere, and may see something else. It takes 2 s if all is well.
    """
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_PAUSE)
        if problem := await _look(session, host, token, answer):
            return problem
    return ""


async def _look(session: aiohttp.ClientSession, host: str, token: str, answer: str) -> str:
    path = HTTP_PATH + token
    url = f"http://{f'[{host}]' if ':' in host else host}{path}"
    for _ in range(_REDIRECTS + 1):
        try:
            async with session.get(
                url,
                headers={"User-Agent": _USER_AGENT, "Accept": "*/*", "Connection": "close"},
                timeout=_TIMEOUT,
                allow_redirects=False,
                ssl=False,  # a CA does not look at the certificate either: often there is none yet
            ) as response:
                where = f"{url} was answered with HTTP status {response.status}"
                if response.status in (301, 302, 303, 307, 308):
                    target = response.headers.get("Location", "")
                    if problem := _not_followed(url, target, path):
                        return f"{url} redirects {problem}"
                    url = urljoin(url, target)
                    continue
                if response.status != 200:
                    return f"{where}: nothing leads this path to the operator, or not yet"
                return await _compare(response, answer, where)
        except aiohttp.ClientConnectorDNSError as error:
            return f"{host} has no address: {error.os_error.strerror}"
        except TimeoutError:
            return f"{url} was not answered within {_TIMEOUT.total:.0f} s: does port 80 of {host} lead to this cluster?"
        except aiohttp.ClientConnectorError as error:
            return f"{url}: no connection ({error.os_error.strerror}): does port 80 of {host} lead to this cluster?"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"{url} was not answered with valid HTTP ({type(error).__name__})"
    return f"{url} redirects more than {_REDIRECTS} times"


async def _compare(response: aiohttp.ClientResponse, answer: str, where: str) -> str:
    """A CA leaves white space at the end aside (RFC 8555, section 8.3)."""
    body = b""
    while len(body) <= 2 * len(answer) and not response.content.at_eof():
        body += await response.content.read(2 * len(answer) + 1 - len(body))
    if body.rstrip() == answer.encode():
        return ""
    return f"{where}, by somebody else: the answer is not the operator's"


def _not_followed(url: str, target: str, path: str) -> str:
    """Why a redirect from `url` to `target` is not followed; empty if it is."""
    try:
        parts = urlsplit(urljoin(url, target))
        port = parts.port
    except ValueError:
        return "to something that is not a URL"
    if len(target) > _LONGEST_URL:
        return f"to a URL of more than {_LONGEST_URL} characters"
    if parts.scheme not in ("http", "https") or port not in (None, 80, 443):
        return "to where a CA does not follow: http and https on their usual ports"
    if parts.path != path:
        return "to another path, which the self-check does not follow: keep the path, or set selfCheck: false"
    return ""
