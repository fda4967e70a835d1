"""csr-operator as in a pod: by the environment it finds the API server, and in two files its token and whom to trust.

What the kubeconfig says counts only for where the API server is. The files, `token` and `ca.crt`, are beside it.
"""

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import yaml
from kubernetes.aio.config import incluster_config

from csr_operator.__main__ import main
from csr_operator.manager.operator import Operator


def run(_: float, arguments: list[str]) -> int:
    """The number says nothing here."""
    kubeconfig = Path(os.environ.pop("KUBECONFIG"))
    server = urlsplit(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
    assert server.hostname is not None
    os.environ |= {
        incluster_config.SERVICE_HOST_ENV_NAME: server.hostname,
        incluster_config.SERVICE_PORT_ENV_NAME: str(server.port),
    }
    with (
        patch.object(incluster_config, "SERVICE_TOKEN_FILENAME", str(kubeconfig.parent / "token")),
        patch.object(incluster_config, "SERVICE_CERT_FILENAME", str(kubeconfig.parent / "ca.crt")),
    ):
        return main(arguments, lambda given: Operator(replace(given, metrics_kept=0.0)))
