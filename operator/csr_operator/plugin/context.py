"""What an issuer's backend is given of the world: Secrets, time, an HTTP session, answers to challenges."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from .errors import Misconfigured


class Responder(Protocol):
    """Answers the challenges for which a CA connects to the name itself. A name may be an IP address."""

    def check_http(self, route: Mapping[str, Any]) -> None:
        """Raises Misconfigured if `present_http` would never do for this `route`. No I/O."""
        ...

    async def present_http(self, host: str, token: str, answer: str, route: Mapping[str, Any]) -> None:
        """Answer http-01 (RFC 8555, section 8.3) at http://host/.well-known/acme-challenge/token with `answer`.

        route: the `http01` of an ACME solver; makes the Ingress or HTTPRoute that it asks for. There already counts as
        done, and costs no call. Raises Rejected, Retryable, Misconfigured.
        """
        ...

    async def withdraw_http(self, host: str, token: str) -> None:
        """Stop answering, and remove what was made for it. Gone already counts as done. Raises Retryable,
        Misconfigured."""
        ...

    async def present_alpn(self, identifier: str, answer: str) -> None:
        """Answer tls-alpn-01 (RFC 8737, RFC 8738) for `identifier`.

        answer: the key authorization. The certificate is derived from both, where it is asked for. There already counts
        as done. Raises Rejected, Misconfigured, such as where nothing listens, and Retryable: as the CA names no token,
        a name has one answer at a time, and who is first is answered first. Whoever presents several takes them in the
        order of their names, one after the other: else two could wait for each other.
        """
        ...

    async def withdraw_alpn(self, identifier: str, answer: str) -> None:
        """Stop answering so. Gone already, or another answer, counts as done. Raises Retryable, Misconfigured."""
        ...


class NoResponder:
    """A `Responder` where no CA can connect, such as in a command or a test."""

    def check_http(self, route: Mapping[str, Any]) -> None:
        """Any route would do: nothing is presented."""

    async def present_http(self, host: str, token: str, answer: str, route: Mapping[str, Any]) -> None:
        """Raises Misconfigured."""
        raise Misconfigured(f"http-01: nothing answers for {host} here")

    async def withdraw_http(self, host: str, token: str) -> None:
        """There is nothing to remove."""

    async def present_alpn(self, identifier: str, answer: str) -> None:
        """Raises Misconfigured."""
        raise Misconfigured(f"tls-alpn-01: nothing answers for {identifier} here")

    async def withdraw_alpn(self, identifier: str, answer: str) -> None:
        """There is nothing to remove."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a backend is given."""

    read_secret: Callable[[str], Awaitable[Mapping[str, bytes] | None]]
    """The data of a Secret in the issuer's namespace (a ClusterIssuer's: the cluster resource namespace).

    None if it does not exist. Raises Misconfigured for one that is not allowed as a credential.
    """
    write_secret: Callable[[str, Callable[[Mapping[str, bytes]], Mapping[str, bytes]]], Awaitable[None]]
    """Change the data of a Secret there that is the issuer's own, and made if it is missing.

    The change is a function of the data so far, and is made again if somebody else was faster.
    """
    clock: Callable[[], datetime]
    """The time now, in UTC."""
    session: Callable[[], aiohttp.ClientSession]
    """For HTTP (`http.py`); it is shared by all issuers, so that each call says whom it trusts."""
    responder: Responder
    """For ACME."""
    programs: Path | None = None
    """The folder of those that issuers may have run to write DNS records; None if they may not."""
    namespace: str = ""
    """Where its Secrets are, for messages."""

    def secret(self, name: str) -> str:
        """How a message names a Secret of the issuer: `Secret namespace/name`."""
        return f"Secret {self.namespace}/{name}" if self.namespace else f"Secret {name}"
