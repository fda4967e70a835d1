"""Manifests as a user writes them."""

from typing import Any

API_VERSION = "csr-operator.dev/v1alpha1"

_NAMES = frozenset(
    ("commonName", "literalSubject", "dnsNames", "ipAddresses", "uris", "emailAddresses", "otherNames", "request")
)


def issuer(name: str, kind: str = "Issuer", **spec: Any) -> dict[str, Any]:
    """An Issuer; without `spec` it is selfSigned."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec or {"selfSigned": {}}}


def request(name: str, issuer: str, **spec: Any) -> dict[str, Any]:
    """A CertificateRequest for `name`.example.com into the Secret `name`-tls, unless `spec` says otherwise."""
    return {
        "apiVersion": API_VERSION,
        "kind": "CertificateRequest",
        "metadata": {"name": name},
        "spec": {
            "secretName": f"{name}-tls",
            "issuerRef": {"name": issuer},
            **({} if _NAMES & spec.keys() else {"dnsNames": [f"{name}.example.com"]}),
            **spec,
        },
    }


def root_and_ca(ca: str = "ca") -> list[dict[str, Any]]:
    """A self-signed issuer `root`, a root certificate by it, and the issuer `ca` that signs with that.

    What `ca` signs is not dated back, so that a life can be counted from notBefore.
    """
    return [
        issuer("root"),
        request("root", "root", commonName="Test Root", isCA=True, duration="87600h"),
        issuer(ca, ca={"secretName": "root-tls", "backdate": "0s"}),
    ]
