"""`spec.vault` of issuers that the API server refuses, with field and remedy, and that it takes."""

from collections.abc import Mapping, Sequence
from typing import Any


def vault(**more: Any) -> dict[str, Any]:
    """One that logs in by a token; None removes a field."""
    spec = {
        "server": "https://vault.example.com:8200",
        "path": "pki/sign/servers",
        "auth": {"token": {"secretName": "vault"}},
        **more,
    }
    return {"vault": {name: value for name, value in spec.items() if value is not None}}


_NAME = "use lower-case letters, digits, hyphens and dots"
_METHODS: Sequence[Mapping[str, Any]] = (
    {"token": {"secretName": "vault"}},
    {"appRole": {"secretName": "vault", "path": "team/approle"}},
    {"jwt": {"secretName": "vault", "role": "csr"}},
    {"clientCertificate": {"secretName": "vault", "role": "csr"}},
)
_NO_SERVERS = ("vault.example.com", "ftp://a", "https://a?x=1", "https://ann:pw@a", "https://a/v1", "https://a b")
_NO_PATHS = ("pki", "sign/servers", "pki/issue/servers", "pki/../sys/sign/x", "pki/sign/a b", "pki/sign/a?b=c")

REFUSED: Sequence[tuple[Mapping[str, Any], str, str]] = (
    *((vault(server=server), "spec.vault.server", "write it from https:// on") for server in _NO_SERVERS),
    *((vault(path=path), "spec.vault.path", "write MOUNT/sign/ROLE, such as pki/sign/servers") for path in _NO_PATHS),
    (vault(namespace="team web"), "spec.vault.namespace", "characters that no header takes"),
    (vault(caBundle="MIIB"), "spec.vault.caBundle", "paste CA certificates in PEM"),
    (vault(auth={}), "spec.vault.auth", "set one of token, appRole, jwt and clientCertificate"),
    *((vault(auth={**_METHODS[0], **method}), "spec.vault.auth", "takes one method") for method in _METHODS[1:]),
    *(
        (vault(auth={name: {**given, "secretName": "A"}}), f"spec.vault.auth.{name}.secretName", _NAME)
        for method in _METHODS
        for name, given in method.items()
    ),
)

ACCEPTED: Sequence[Mapping[str, Any]] = (
    *(vault(auth=method) for method in _METHODS),
    *(
        vault(path=path)
        for path in (
            "pki/sign/servers",
            "team/pki/issuer/default/sign/servers",
            "pki/sign-verbatim",
            "pki/sign-verbatim/servers",
            "pki/issuer/intermediate-2026/sign-verbatim",
        )
    ),
    vault(server="http://127.0.0.1:8200/vault/", namespace="team/web"),
)
