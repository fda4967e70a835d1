"""What an administrator sets at start-up, by the arguments of `csr-operator run`."""

import os
from dataclasses import dataclass
from pathlib import Path

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """The namespace the operator runs in; that of the manifests in `deploy/` when it runs outside a cluster."""
    if namespace := os.environ.get("POD_NAMESPACE"):
        return namespace
    if _SERVICE_ACCOUNT_NAMESPACE.exists():
        return _SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
    return "csr-operator-system"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run of the operator goes by. Times are in seconds."""

    namespace: str = "csr-operator-system"
    """The operator's own, where it makes the Ingresses and HTTPRoutes of ACME challenges."""
    namespaces: tuple[str, ...] = ()
    """Watched ones; empty for all."""
    probe_host: str = "127.0.0.1"
    """Where the kubelet asks whether it lives, and is ready."""
    probe_port: int = 8081
    metrics_host: str = "127.0.0.1"
    """Where the metrics are scraped."""
    metrics_port: int = 8080
    acme_http_host: str = "127.0.0.1"
    """Where CAs are answered for http-01."""
    acme_http_port: int = 8089
    http01_for_issuers: bool = False
    """Challenges of Issuers are answered, too, and not only those of ClusterIssuers."""
    acme_tls_host: str = ""
    """Where CAs are answered for tls-alpn-01; nowhere if it is empty."""
    acme_tls_port: int = 0
    cluster_resource_namespace: str = "csr-operator-system"
    """Where the Secrets of a ClusterIssuer live."""
    dns_programs: Path | None = None
    """The folder of the programs that issuers may have run to write DNS records; None for none."""
    issuer_check_interval: float = 30.0
    """How often an issuer is asked whether it is well (and whether its CA was rotated)."""
    rotation_spread: float = 300.0
    """Leaves of a rotated CA are reissued at moments spread over this time."""
    workers: int = 32
    """How many objects are worked on at once."""
    api_timeout: float = 30.0
    """A call that the API server has not answered by then has failed."""
    watch_silence: float = 90.0
    """A watch that shows nothing for so long is dead; the API server sends a bookmark about once a minute."""
    watch_pause: float = 10.0
    """The longest pause between two attempts at a watch."""
    metrics_kept: float = 5.0
    """Metrics that were rendered once serve all who ask within this time."""
