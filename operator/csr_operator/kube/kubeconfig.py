"""Where the API server is, and who we are: as the pod says, or a kubeconfig."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from .errors import NoConfiguration


async def read_configuration() -> kubernetes_client.Configuration:
    """As the pod says, else as the kubeconfig does. Raises NoConfiguration."""
    configuration = kubernetes_client.Configuration()
    try:
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException:
        await load_kubeconfig(configuration, kubeconfigs())
    return configuration


async def load_kubeconfig(
    configuration: kubernetes_client.Configuration, paths: Sequence[Path], context: str | None = None
) -> str:
    """Fill `configuration` as these files say, merged, and return the namespace of the context; empty if it has none.

    context: which one, if not the files' own. Raises NoConfiguration.
    """
    names = os.pathsep.join(map(str, paths))
    try:
        if not any(path.exists() and path.stat().st_size for path in paths):
            raise FileNotFoundError("there is no such file, or it is empty, and this process does not run in a pod")
        loader = await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=names, context=context, client_configuration=configuration
        )
        return str(loader.current_context["context"].get("namespace") or "")
    except Exception as error:  # the loader raises whatever a malformed file makes it stumble over
        reason = " ".join((str(error) or type(error).__name__).split())
        raise NoConfiguration(f"cannot use the kubeconfig {names}: {reason}: set KUBECONFIG to a valid one") from error


def kubeconfigs() -> list[Path]:
    """Those of `KUBECONFIG`, else the usual one, whether they exist or not."""
    named = os.environ.get("KUBECONFIG")
    return [Path(part) for part in named.split(os.pathsep) if part] if named else [Path("~/.kube/config").expanduser()]


def tls_files_digest(configuration: kubernetes_client.Configuration) -> str:
    """Another one when the CA that is trusted, or the certificate that is shown, was replaced in its file."""
    digest = hashlib.sha256()
    for file in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        try:
            text = Path(file).read_bytes() if file else b""
        except OSError:
            text = b""  # whoever uses it is told
        digest.update(hashlib.sha256(text).digest())
    return digest.hexdigest()
