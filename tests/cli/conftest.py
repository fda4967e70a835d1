"""An operator and the plug-in that the tests of one module share, each with names of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.cli.support import Plugin, administrators_kubeconfig
from tests.support.site import Site, running_site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, folder: Path) -> Iterator[Site]:
    """A namespace with an operator, in which the issuer `ca` signs."""
    with running_site(cluster, operator_credentials, folder) as site:
        yield site


@pytest.fixture(scope="module")
def csr(site: Site, folder: Path) -> Plugin:
    """`kubectl csr` as cluster administrator, without kubectl around it."""
    return Plugin(site.kubectl.cluster, administrators_kubeconfig(site.kubectl, folder))


@pytest.fixture(scope="module")
def kubectl_csr(site: Site, csr: Plugin) -> Plugin:
    """The same, called by kubectl."""
    return Plugin(site.kubectl.cluster, csr.kubeconfig, by_kubectl=True)
