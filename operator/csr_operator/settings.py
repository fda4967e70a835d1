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
    """Times are in seconds.

    namespace: the operator's own, where it makes the Ingresses and HTTPRoutes of ACME challenges.
    namespaces: watched ones; empty for all.
    probe_host, probe_port: where the kubelet asks whether it lives, and is ready.
    metrics_host, metrics_port: where the metrics are scraped.
    cluster_resource_namespace: where the Secrets of a ClusterIssuer live.
    acme_http_host, acme_http_port: where CAs are answered for http-01.
    http01_for_issuers: challenges of Issuers are answered, too, and not only those of ClusterIssuers.
    acme_tls_host, acme_tls_port: the same for tls-alpn-01; nowhere if the host is empty.
    dns_programs: the folder of the programs that issuers may have run to write DNS records; None for none.
    issuer_check_interval: how often an issuer is asked whether it is well (and whether its CA was rotated).
    rotation_spread: leaves of a rotated CA are reissued at moments spread over this time.
    api_timeout: a call that the API server has not answered by then has failed.
    watch_silence: a watch that shows nothing for so long is dead; the API server sends a bookmark about once a minute.
    watch_pause: the longest pause between two attempts at a watch.
    metrics_kept: metrics that were rendered once serve all who ask within this time.
    """

    namespace: str = "csr-operator-system"
    namespaces: tuple[str, ...] = ()
    probe_host: str = "127.0.0.1"
    probe_port: int = 8081
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 8080
    acme_http_host: str = "127.0.0.1"
    acme_http_port: int = 8089
    http01_for_issuers: bool = False
    acme_tls_host: str = ""
    acme_tls_port: int = 0
    cluster_resource_namespace: str = "csr-operator-system"
    dns_programs: Path | None = None
    issuer_check_interval: float = 30.0
    rotation_spread: float = 300.0
    workers: int = 32
    api_timeout: float = 30.0
    watch_silence: float = 90.0
    watch_pause: float = 10.0
    metrics_kept: float = 5.0
