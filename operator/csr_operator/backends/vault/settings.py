"""What an issuer's `spec.vault` says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from csr_operator.plugin.errors import Misconfigured


class Login(StrEnum):
    """The field of `spec.vault.auth` that says how the operator logs in."""

    TOKEN = "token"  # noqa: S105 - a name
    APP_ROLE = "appRole"
    JWT = "jwt"
    CLIENT_CERTIFICATE = "clientCertificate"


_MOUNTS = {Login.APP_ROLE: "approle", Login.JWT: "jwt", Login.CLIENT_CERTIFICATE: "cert"}
"""Where each auth method is when the issuer does not say."""

_PATH = re.compile(
    r"(?P<mount>[^?#\s]+?)(?:/issuer/(?P<issuer>[^/?#\s]+))?"
    r"/(?:sign/(?P<role>[^/?#\s]+)|(?P<verbatim>sign-verbatim)(?:/(?P<loose>[^/?#\s]+))?)"
)


@dataclass(frozen=True, slots=True)
class SignPath:
    """Where the PKI secrets engine signs, such as `pki/sign/servers`."""

    text: str
    """As the issuer has it."""
    mount: str
    """Where the engine is."""
    issuer: str
    """Which of its issuers signs; empty for the role's, or the engine's default."""
    role: str
    """Empty for `sign-verbatim` without one."""
    verbatim: bool
    """It signs what the CSR asks for, and not what a role allows."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises Misconfigured."""
        match = _PATH.fullmatch(text.strip("/"))
        if match is None or ".." in text.split("/"):
            raise Misconfigured(
                "spec.vault.path: write where the PKI secrets engine signs, such as pki/sign/ROLE, "
                "pki/issuer/ISSUER/sign/ROLE or pki/sign-verbatim"
            )
        role = match["role"] or match["loose"] or ""
        return cls(text.strip("/"), match["mount"], match["issuer"] or "", role, match["verbatim"] is not None)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where Vault is, where it signs, and how the operator logs in."""

    server: str
    """Its address, without `/v1`."""
    path: SignPath
    namespace: str
    """Of Vault Enterprise and OpenBao; empty for the root namespace."""
    ca_bundle: str
    login: Login
    mount: str
    """Of the auth method; empty for a token."""
    secret_name: str
    """Its credentials."""
    role: str
    """The role at the auth method; empty where there is none, or the method's default."""

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Self:
        """Raises Misconfigured, also for what the CRD lets pass no longer."""
        auth = config.get("auth") or {}
        chosen = [login for login in Login if auth.get(login)]
        if len(chosen) != 1:
            raise Misconfigured(f"spec.vault.auth: set one of {', '.join(Login)}")
        login, given = chosen[0], auth[chosen[0]]
        for name, where in (("server", config), ("path", config), ("secretName", given)):
            if not where.get(name):
                field = f"auth.{login}.{name}" if where is given else name
                raise Misconfigured(f"spec.vault.{field}: it is missing")
        if login is Login.JWT and not given.get("role"):
            raise Misconfigured("spec.vault.auth.jwt.role: name the role to log in with")
        return cls(
            server=str(config["server"]).rstrip("/"),
            path=SignPath.parse(str(config["path"])),
            namespace=str(config.get("namespace") or "").strip("/"),
            ca_bundle=config.get("caBundle") or "",
            login=login,
            mount=str(given.get("path") or _MOUNTS.get(login, "")).strip("/"),
            secret_name=str(given["secretName"]),
            role=str(given.get("role") or ""),
        )
