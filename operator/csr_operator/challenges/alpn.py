"""The certificates that answer tls-alpn-01 (RFC 8737), chosen by the name that the CA sends (SNI)."""

import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from csr_acme.challenges import ALPN_PROTOCOL


class AlpnCertificates:
    """In memory only: with several replicas, only the one that presented a certificate serves it."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}

    def present(self, identifier: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """In place of an earlier one for `identifier` (a DNS name or IP address)."""
        context = _context()
        pem = certificate.public_bytes(Encoding.PEM)
        pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _load(context, pem)
        self._contexts[server_name(identifier)] = context

    def withdraw(self, identifier: str) -> None:
        self._contexts.pop(server_name(identifier), None)

    def listener(self) -> ssl.SSLContext:
        """For a server: takes the certificate by the name asked for, and ends the handshake if there is none."""

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            chosen = self._contexts.get((name or "").lower())
            if chosen is None:
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            connection.context = chosen
            return None

        context = _context()
        context.sni_callback = choose
        return context


def server_name(identifier: str) -> str:
    """The name that a CA sends: for an IP address that of its reverse DNS record (RFC 8738, section 6)."""
    try:
        return ipaddress.ip_address(identifier).reverse_pointer
    except ValueError:
        return identifier.lower().removesuffix(".")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN_PROTOCOL])
    return context


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Certificate and key. The library takes them from a file alone: one in memory, as a pod's disk is read-only."""
    file = os.memfd_create("tls-alpn-01")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
