"""`spec.sectigo` of issuers that the API server refuses, with field and remedy, and that it takes."""

from collections.abc import Mapping, Sequence
from typing import Any


def sectigo(**more: Any) -> dict[str, Any]:
    """One that logs in with a password; None removes a field."""
    spec = {
        "customerURI": "example",
        "login": {"secretName": "account"},
        "organization": "Example Inc",
        "profile": "1013",
        **more,
    }
    return {"sectigo": {name: value for name, value in spec.items() if value is not None}}


_NAME = "use lower-case letters, digits, hyphens and dots"
_ADDRESS = "write it whole"
_OAUTH = {"login": None, "customerURI": None, "oauth": {"secretName": "client"}}
_CERTIFICATE = {"login": None, "clientCertificate": {"secretName": "pair", "login": "ada"}}

REFUSED: Sequence[tuple[Mapping[str, Any], str, str]] = (
    (sectigo(login=None), "spec.sectigo", "set one of login, clientCertificate and oauth"),
    (sectigo(oauth={"secretName": "client"}), "spec.sectigo", "set one of login, clientCertificate and oauth"),
    (sectigo(customerURI=None), "spec.sectigo.customerURI", "set it to the last part of the address"),
    (sectigo(**{**_OAUTH, "customerURI": "example"}), "spec.sectigo.customerURI", "or remove it"),
    (sectigo(customerURI="my company"), "spec.sectigo.customerURI", "characters that no header takes"),
    (sectigo(login={"secretName": "Account"}), "spec.sectigo.login.secretName", _NAME),
    (
        sectigo(**{**_CERTIFICATE, "clientCertificate": {"secretName": "a_b", "login": "ada"}}),
        "spec.sectigo.clientCertificate.secretName",
        _NAME,
    ),
    (
        sectigo(**{**_CERTIFICATE, "clientCertificate": {"secretName": "pair", "login": "a b"}}),
        "spec.sectigo.clientCertificate.login",
        "write the login name alone",
    ),
    (sectigo(**{**_OAUTH, "oauth": {"secretName": "-a"}}), "spec.sectigo.oauth.secretName", _NAME),
    *(
        (sectigo(url=url), "spec.sectigo.url", _ADDRESS)
        for url in ("cert-manager.com", "ftp://a/api", "https://a/api?x=1", "https://ann:pw@a/api")
    ),
    (
        sectigo(**{**_OAUTH, "oauth": {"secretName": "client", "tokenURL": "sectigo.com"}}),
        "spec.sectigo.oauth.tokenURL",
        _ADDRESS,
    ),
    (sectigo(caBundle="MIIB"), "spec.sectigo.caBundle", "paste CA certificates in PEM"),
    (sectigo(dcv={"mode": "EMAIL"}), "spec.sectigo.dcv.email", "goes with mode EMAIL alone"),
    (sectigo(dcv={"mode": "TXT", "email": "a@b"}), "spec.sectigo.dcv.email", "goes with mode EMAIL alone"),
    (sectigo(dcv={"mode": "EMAIL", "email": "Ann <a@b>"}), "spec.sectigo.dcv.email", "without display name"),
    (sectigo(externalRequesters=["a@b", "ann"]), "spec.sectigo.externalRequesters[1]", "without display name"),
)

ACCEPTED: Sequence[Mapping[str, Any]] = (
    sectigo(),
    sectigo(**_OAUTH),
    sectigo(**_CERTIFICATE),
    sectigo(
        url="https://hard.cert-manager.com/api",
        caBundle="-----BEGIN CERTIFICATE-----",
        organization="42",
        term=199,
        customFields=[{"name": "Cost centre", "value": "4711"}],
        dcv={"mode": "EMAIL", "email": "admin@example.com"},
        externalRequesters=["ann@example.com"],
        comments="team blue",
        renewal="Replace",
        cancelPending=True,
    ),
)
