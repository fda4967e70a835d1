"""The certificates that answer tls-alpn-01 (RFC 8737), derived when they are asked for, with keys of this process."""

import os
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from csr_acme.challenges import ALPN_PROTOCOL, alpn_certificate
from csr_acme.objects import Identifier

from .alpn import AlpnChallenge

_MOST = 256
"""Certificates that are kept, as a CA connects several times."""

_KEPT = timedelta(hours=12)
"""Then another one is made, as each serves for a day."""


class AlpnCertificates:
    """clock: the time now, in UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._contexts: dict[AlpnChallenge, tuple[datetime, ssl.SSLContext]] = {}

    def context(self, challenge: AlpnChallenge) -> ssl.SSLContext:
        """For the server's side of a connection."""
        now = self._clock()
        made, context = self._contexts.get(challenge, (now, None))
        if context is None or abs(now - made) >= _KEPT:
            context = server_context(challenge.identifier, challenge.answer, now)
            self._contexts.pop(challenge, None)
            if len(self._contexts) >= _MOST:
                del self._contexts[next(iter(self._contexts))]
            self._contexts[challenge] = now, context
        return context


def server_context(identifier: Identifier, answer: str, now: datetime) -> ssl.SSLContext:
    """With a certificate that proves `answer`, the key authorization."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN_PROTOCOL])
    certificate, key = alpn_certificate(identifier, answer, now)
    pem = certificate.public_bytes(Encoding.PEM)
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _load(context, pem)
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Certificate and key. The library takes them from a file alone: one in memory, as a pod's disk is read-only."""
    file = os.memfd_create("tls-alpn-01")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
