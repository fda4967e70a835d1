"""What an issuer's `spec.sectigo` says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

from csr_operator.api.reading import read_flag
from csr_operator.plugin.errors import Misconfigured

_LOGIN_URL = "https://cert-manager.com/api"
_CERTIFICATE_URL = "https://cert-manager.com/private/api"
_OAUTH_URL = "https://admin.enterprise.sectigo.com/api"
_TOKEN_URL = "https://auth.sso.sectigo.com/auth/realms/apiclients/protocol/openid-connect/token"  # noqa: S105


class Access(StrEnum):
    """The field that says how the operator identifies itself."""

    LOGIN = "login"
    CLIENT_CERTIFICATE = "clientCertificate"
    OAUTH = "oauth"


class Following(StrEnum):
    """How a certificate is ordered that takes the place of an earlier one."""

    ENROLL = "Enroll"
    RENEW = "Renew"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class Settings:
    """access_secret: its credentials. login: only for CLIENT_CERTIFICATE, as LOGIN has it in the Secret.

    organization, profile: an ID in digits, or a name. term: in days; 0 to go by each request's duration.
    dcv: `dcvMode` and `dcvEmail` as the API has them, if set.
    """

    url: str
    token_url: str
    ca_bundle: str
    access: Access
    access_secret: str
    login: str
    customer_uri: str
    organization: str
    profile: str
    term: int
    custom_fields: tuple[tuple[str, str], ...]
    dcv: Mapping[str, str]
    external_requesters: tuple[str, ...]
    comments: str
    following: Following
    cancels: bool

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Self:
        """Raises Misconfigured, also for what the CRD lets pass no longer."""
        chosen = [access for access in Access if config.get(access)]
        if len(chosen) != 1:
            raise Misconfigured(
                "spec.sectigo: set one of login, clientCertificate and oauth, with the secretName of the credentials"
            )
        access, given = chosen[0], config[chosen[0]]
        default = {Access.LOGIN: _LOGIN_URL, Access.CLIENT_CERTIFICATE: _CERTIFICATE_URL, Access.OAUTH: _OAUTH_URL}
        dcv = config.get("dcv") or {}
        settings = cls(
            url=(config.get("url") or default[access]).rstrip("/"),
            token_url=given.get("tokenURL") or _TOKEN_URL,
            ca_bundle=config.get("caBundle") or "",
            access=access,
            access_secret=_needed(given, f"{access}.secretName"),
            login=_needed(given, f"{access}.login") if access is Access.CLIENT_CERTIFICATE else "",
            customer_uri=_needed(config, "customerURI") if access is not Access.OAUTH else "",
            organization=str(_needed(config, "organization")),
            profile=str(_needed(config, "profile")),
            term=int(config.get("term") or 0),
            custom_fields=_pairs(config.get("customFields") or ()),
            dcv={
                **({"dcvMode": dcv["mode"]} if dcv.get("mode") else {}),
                **({"dcvEmail": dcv["email"]} if dcv.get("email") else {}),
            },
            external_requesters=tuple(config.get("externalRequesters") or ()),
            comments=config.get("comments") or "",
            following=Following(config.get("renewal") or Following.ENROLL),
            cancels=read_flag(config, "cancelPending", "spec.sectigo"),
        )
        for field, url in (("url", settings.url), (f"{access}.tokenURL", settings.token_url)):
            if urlsplit(url).scheme not in ("https", "http") or not urlsplit(url).hostname:
                raise Misconfigured(f"spec.sectigo.{field}: {url} is not a URL: write it whole, from https:// on")
        return settings


def _needed(config: Mapping[str, Any], field: str) -> Any:
    if not (value := config.get(field.rpartition(".")[2])):
        raise Misconfigured(f"spec.sectigo.{field}: it is missing: set it")
    return value


def _pairs(fields: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((field["name"], field.get("value") or "") for field in fields)
