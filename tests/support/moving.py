"""Certificates that something else than the operator put into Secrets, such as cert-manager before."""

from typing import Any

from tests.support.manifests import request
from tests.support.site import REQUEST, Site

ADOPT = "csr-operator.dev/adopt"


def issued_elsewhere(site: Site, name: str, issuer_name: str = "ca", **spec: Any) -> dict[str, str]:
    """`data` of a Secret for what the request `name` asks for, as if something else had had it signed."""
    donor = f"{name}-donor"
    site.kubectl.apply(request(donor, issuer_name, **{"dnsNames": [f"{name}.example.com"], **spec}))
    site.kubectl.wait_ready(donor)
    data: dict[str, str] = site.kubectl.get("secret", f"{donor}-tls")["data"]
    site.kubectl("delete", REQUEST, donor)
    return data


def secret_of_others(name: str, data: dict[str, str], adopt: str = "", **changes: Any) -> dict[str, Any]:
    """As cert-manager leaves it; adopt: the request that is to take it over."""
    metadata = {
        "name": name,
        "labels": {"controller.cert-manager.io/fao": "true"},
        "annotations": {"cert-manager.io/certificate-name": "www", **({ADOPT: adopt} if adopt else {})},
        **changes.pop("metadata", {}),
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
    return secret | changes


def submits(site: Site) -> float:
    """How often a CA was asked for a certificate."""
    return site.operator.metric("csr_operator_ca_calls_total", call="submit")
