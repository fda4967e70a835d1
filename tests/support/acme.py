"""ACME issuers as a user writes them, for the servers of the tests."""

from pathlib import Path
from typing import Any, Protocol

from tests.support.bind import Bind
from tests.support.manifests import issuer
from tests.support.site import base64_text


class AcmeServer(Protocol):
    """directory: URL. ca_file: what the server's own HTTPS certificate leads to."""

    @property
    def directory(self) -> str: ...

    @property
    def ca_file(self) -> Path: ...


def acme_issuer(
    name: str, server: AcmeServer, *solvers: dict[str, Any], directory: str = "", **fields: Any
) -> dict[str, Any]:
    """An issuer with an account of its own. directory: another URL for the same server."""
    acme: dict[str, Any] = {
        "server": directory or server.directory,
        "caBundle": server.ca_file.read_text(),
        "termsOfServiceAgreed": True,
        "privateKeySecretRef": {"name": f"{name}-account"},
        **({"solvers": list(solvers)} if solvers else {}),
        **fields,
    }
    return issuer(name, acme=acme)


def rfc2136(bind: Bind, **fields: Any) -> dict[str, Any]:
    """The solver that writes into `bind`, with the Secret of `rfc2136_secret`."""
    provider = {
        "nameserver": bind.nameserver,
        "tsigKeyName": bind.key_name,
        "tsigSecretSecretRef": {"name": "tsig", "key": "secret"},
    }
    # BIND is on no port that a resolver would find it on.
    where = {"recursiveNameservers": [bind.nameserver], "recursiveNameserversOnly": True}
    return {"dns01": {"rfc2136": provider, **where, **fields}}


def rfc2136_secret(bind: Bind) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tsig"},
        "type": "csr-operator.dev/credential",
        "data": {"secret": base64_text(bind.secret)},
    }
