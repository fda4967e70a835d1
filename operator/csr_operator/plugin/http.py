"""HTTP as all backends do it: an explicit trust store for each issuer, timeouts, and a bound on answers."""

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from csr_operator.fence import FencedRequest
from csr_operator.pki.chain import load_bundle, spki_of, to_pem
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import load_private_key, private_key_pem, public_key_der
from csr_operator.version import user_agent

from .errors import Misconfigured, Retryable
from .schedule import parse_retry_after
from .text import redact

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=15)  # until the last octet of the answer: one a second is not enough
_MOST_BYTES = 2 * 1024 * 1024
_USER_AGENT = user_agent()


def trust(ca_bundle: str, field: str) -> ssl.SSLContext:
    """Trusts the PEM certificates of `ca_bundle`, or if it is empty those of the system.

    Raises Misconfigured, naming `field`.
    """
    try:
        return ssl.create_default_context(cadata=ca_bundle or None)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(f"{field}: holds no CA certificates in PEM ({error}): paste them whole") from None


def identify(context: ssl.SSLContext, certificate: bytes, key: bytes, field: str) -> None:
    """Show servers that ask for it the client certificate (PEM, with its chain) of an unencrypted private key (PEM).

    Raises Misconfigured, naming `field`.
    """
    # OpenSSL reads keys from files alone: one in memory, as a pod's disk is read-only, and gone before this returns.
    file = os.memfd_create("client-certificate")
    try:
        # OpenSSL would compute with whatever key is in the texts.
        own, chain = load_private_key(key), load_bundle(certificate)
        if spki_of(chain[0]) != public_key_der(own.public_key()):
            raise PkiError("the certificate is not that of the key")
        with open(file, "wb", closefd=False) as stream:
            stream.write(to_pem(chain) + private_key_pem(own))
        context.load_cert_chain(f"/proc/self/fd/{file}", password=b"")
    except (ssl.SSLError, ValueError) as error:
        text = "needs a certificate in tls.crt and its private key, without a password, in tls.key (both PEM)"
        why = f": {error}" if isinstance(error, PkiError) else ""
        raise Misconfigured(f"{field}: {text}{why}") from None
    finally:
        os.close(file)


class ClientCertificate:
    """TLS with a client certificate, made ready once for each that a Secret has held.

    ca_bundle, field: as in `trust`. secret: as in `identify`, where the certificate is from.
    """

    def __init__(self, ca_bundle: str, field: str, secret: str) -> None:
        self._ca_bundle, self._field, self._secret = ca_bundle, field, secret
        self._ready: tuple[bytes, bytes, ssl.SSLContext] | None = None

    def showing(self, certificate: bytes, key: bytes) -> ssl.SSLContext:
        """Raises Misconfigured."""
        if self._ready is None or self._ready[:2] != (certificate, key):
            context = trust(self._ca_bundle, self._field)
            identify(context, certificate, key, self._secret)
            self._ready = (certificate, key, context)
        return self._ready[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    """Of HTTP."""
    headers: Mapping[str, str]
    """Their names in any case."""
    body: bytes
    """At most 2 MiB."""

    @property
    def retry_after(self) -> timedelta:
        """How long the server asks to wait (RFC 9110, section 10.2.3), from a second to a day; 0 if it does not say."""
        return parse_retry_after(self.headers.get("Retry-After", ""))

    def json(self) -> Any:
        """Raises Retryable if the body is no JSON, was cut off, or is nested without end."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Retryable(f"the CA's answer (HTTP status {self.status}) is not JSON", self.retry_after) from None


async def call(
    session: aiohttp.ClientSession,
    trusted: ssl.SSLContext,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: Any = None,
    form: Mapping[str, str] | None = None,
) -> Answer:
    """One request, with `body` as JSON or `form` as a form; an answer of any status. Raises Retryable without one.

    Redirects are not followed: they would carry credentials elsewhere.
    """
    host = urlsplit(url).hostname
    try:
        async with session.request(
            method,
            url,
            params=query,
            json=body,
            data=form,
            headers={"User-Agent": _USER_AGENT, "Accept": "application/json", **(headers or {})},
            timeout=_TIMEOUT,
            allow_redirects=False,
            ssl=trusted,
        ) as response:
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > _MOST_BYTES:
                    raise Retryable(f"{host}: an answer of more than {_MOST_BYTES} bytes is not read")
            return Answer(response.status, response.headers, bytes(data))
    except aiohttp.ClientConnectorCertificateError as error:
        text = f"{host}: its TLS certificate is not trusted ({error.certificate_error}): set caBundle to its CA"
        raise Retryable(text) from None
    except aiohttp.ClientConnectorError as error:
        why = error.os_error.strerror or type(error.os_error).__name__
        raise Retryable(f"cannot connect to {error.host}:{error.port}: {why}") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # It may quote what the server sent, and that what was sent to it.
        sent = [part for value in (headers or {}).values() for part in (value, *value.split())]  # Bearer, and a token
        sent += (form or {}).values()
        raise Retryable(f"{host}: {redact(str(error), sent) or type(error).__name__}") from None


def http_session() -> aiohttp.ClientSession:
    """What all issuers share. How much each one's CA is used is limited elsewhere."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        request_class=FencedRequest,
    )
