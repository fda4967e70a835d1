"""Issuers of `spec.vault`."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.pki.keys import parameters_of
from csr_operator.pki.profile import wanted_usages
from csr_operator.pki.signatures import is_self_signed
from csr_operator.pki.usages import KEY_USAGES, extended_oid
from csr_operator.pki.verify import CA_DECIDES
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable

from .client import Client, Refused
from .session import Session
from .settings import Settings

_ADVICE = {
    r"^unknown role": "check the role in spec.vault.path",
    r"common_name field is required": "set spec.commonName, or require_cn=false in Vault's role",
    r"role requires keys of type": "choose that algorithm in privateKey, or key_type=any in Vault's role",
    r"role requires a minimum|key_bits": "choose a larger key in privateKey, or another role",
    r"not allowed (by|in) this role": "ask for names that Vault's role allows, or allow them there",
    r"beyond the expiration of the ca": "ask for a shorter duration, or renew the CA in Vault",
}
"""What to do, by what the error's text holds."""

_KEY_USAGES = {"crl sign": "CRLSign"}
"""As the API has those that it does not have in title case (Go's `x509.KeyUsage`)."""

_NAMES: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "alt_names",
    x509.RFC822Name: "alt_names",
    x509.IPAddress: "ip_sans",
    x509.UniformResourceIdentifier: "uri_sans",
}
"""The field of the API for each kind of name, for roles that do not take those of the CSR."""


class VaultBackend(Backend):
    """Certificates by a role of the PKI secrets engine."""

    traits = Traits(revokes=True)

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._client = Client(settings, context)
        self._session = Session(settings, self._client, context)

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        return cls(Settings.parse(config), context)

    async def check(self) -> Health:
        path = self._settings.path
        await self._must_be_allowed(path.text)
        role = await self._role()
        issuer = path.issuer or str(role.get("issuer_ref") or "default")
        signer = await self._signer(issuer)
        by = f"by the role {path.role}" if path.role else "as the CSR says"
        if signer is None:
            return Health(f"issues {by}, at {path.mount}")
        text = f"issues {by}, with {signer.subject.rfc4514_string() or 'a CA without a name'}"
        return Health(text, sha256_fingerprint(signer), signer.not_valid_after_utc)

    async def _must_be_allowed(self, path: str) -> None:
        """https://developer.hashicorp.com/vault/api-docs/system/capabilities-self"""
        try:
            answer = await self._session.call("POST", "sys/capabilities-self", {"paths": [path]})
        except Refused as error:
            if error.status != 403:
                raise Misconfigured(str(error)) from None
            raise Misconfigured(
                f"Vault refuses the token ({error}): put a valid one into the Secret that spec.vault.auth names, with"
                " the policy default in this namespace of Vault, or one that may update sys/capabilities-self"
            ) from None
        data = answer.get("data")
        allowed = data.get(path) if isinstance(data, dict) else None
        if not isinstance(allowed, list) or not {"root", "update", "create"} & {
            str(capability) for capability in allowed
        }:
            raise Misconfigured(
                f'the token may not sign at {path}: give it a policy with path "{path}" {{ capabilities = ["update"] }}'
            )

    async def _role(self) -> Mapping[str, Any]:
        """Empty if the operator may not read it, or none is named. Raises Misconfigured if it does not exist."""
        path = self._settings.path
        if not path.role:
            return {}
        try:
            answer = await self._session.call("GET", f"{path.mount}/roles/{path.role}")
        except Refused as error:
            if error.status == 404:
                raise Misconfigured(
                    f"Vault has no role {path.role} at {path.mount}: check the role in spec.vault.path"
                ) from None
            return {}
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    async def _signer(self, issuer: str) -> x509.Certificate | None:
        """The CA certificate that signs; None if Vault does not tell. Nobody has to log in to read it."""
        try:
            answer = await self._client.call("GET", f"{self._settings.path.mount}/issuer/{issuer}/json")
        except Refused:
            return None
        certificates = _certificates(answer, "certificate")
        return certificates[0] if certificates else None

    async def submit(self, order: Order) -> Issued | Pending:
        if order.profile.is_ca:
            raise Rejected("Vault's roles sign no CA certificates: remove isCA, or name another issuer")
        body: dict[str, Any] = {
            "csr": order.csr.public_bytes(Encoding.PEM).decode(),
            "format": "pem",
            "exclude_cn_from_sans": True,
            "ttl": f"{math.ceil(order.duration / timedelta(seconds=1))}s",
        }
        body |= _usages(order) if self._settings.path.verbatim else _names(order.csr)
        try:
            answer = await self._session.call("POST", self._settings.path.text, body)
        except Refused as error:
            if error.status == 403:
                where = self._settings.path.text
                raise Misconfigured(
                    f"{error}: the token is not valid, or has no policy that allows to update {where}"
                ) from None
            advice = next((what for pattern, what in _ADVICE.items() if re.search(pattern, error.reason)), "")
            raise Rejected(f"{error}{f': {advice}' if advice else ''}") from None
        chain = _certificates(answer, "certificate", "ca_chain", "issuing_ca")
        if not chain:
            raise Retryable("Vault's answer holds no certificate")
        roots = [certificate for certificate in chain[1:] if is_self_signed(certificate)]
        return Issued(chain, roots, rules=CA_DECIDES, reference=serial_octets(chain[0]))

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        """By the certificate itself: Vault compares it with its own CAs, and knows it also if it stores none."""
        body = {"certificate": certificate.public_bytes(Encoding.PEM).decode()}
        mount = self._settings.path.mount
        try:
            await self._session.call("POST", f"{mount}/revoke", body)
        except Refused as error:
            if error.status == 403:
                raise Misconfigured(
                    f'{error}: give the token a policy with path "{mount}/revoke" {{ capabilities = ["update"] }}'
                ) from None
            if "already expired" in error.reason:
                return
            raise Rejected(str(error)) from None


def _usages(order: Order) -> dict[str, list[str]]:
    """Of a CSR that is signed as it is, everything counts but its usages: these have fields of their own."""
    if not order.profile.usages:
        return {}
    usages = wanted_usages(order.profile, parameters_of(order.csr.public_key()).algorithm)
    return {
        "key_usage": sorted(
            _KEY_USAGES.get(name, name.title().replace(" ", "")) for name in usages & KEY_USAGES.keys()
        ),
        "ext_key_usage": [],
        "ext_key_usage_oids": sorted(extended_oid(name).dotted_string for name in usages - KEY_USAGES.keys()),
    }


def _names(csr: x509.CertificateSigningRequest) -> dict[str, str]:
    """Raises Rejected for a CSR that cannot be read."""
    names: dict[str, list[str]] = {}
    try:
        for alternative in alternative_names(csr):
            if (field := _NAMES.get(type(alternative))) is not None:
                names.setdefault(field, []).append(str(alternative.value))
    except PkiError as error:
        raise Rejected(str(error)) from None
    return {field: ",".join(texts) for field, texts in names.items()}


def _certificates(answer: Mapping[str, Any], *fields: str) -> Sequence[x509.Certificate]:
    """Those under these fields of its `data`, each once. Raises Retryable for what cannot be read."""
    data = answer.get("data")
    texts: list[str] = []
    for field in fields:
        value = data.get(field) if isinstance(data, dict) else None
        texts += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    certificates: list[x509.Certificate] = []
    for text in dict.fromkeys(text.strip() for text in texts):
        try:
            certificates += load_bundle(text.encode())
        except (PkiError, ValueError) as error:
            raise Retryable(f"a certificate in Vault's answer cannot be read: {error}") from None
    return list(dict.fromkeys(certificates))
