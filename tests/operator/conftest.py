"""An operator that the tests of one module share, each with names of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl
from tests.support.operator import OperatorProcess
from tests.support.site import Site, new_namespace, running_site
from tests.support.third_party import BROKEN, EXAMPLE, HttpCa, install


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A namespace with an operator, in which the issuer `ca` signs."""
    with running_site(cluster, operator_credentials, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def http_ca() -> Iterator[HttpCa]:
    with HttpCa() as ca:
        yield ca


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the backends of third parties."""
    folder = tmp_path_factory.mktemp("installed")
    for distribution in (EXAMPLE, BROKEN):
        install(distribution, folder)
    return folder


@pytest.fixture(scope="module")
def outfitted(
    cluster: ControlPlane, operator_credentials: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A namespace with an operator that has the backends of third parties, too."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    log = tmp_path_factory.mktemp("outfitted") / "operator.log"
    with OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace, installed=installed) as operator:
        yield Site(kubectl, operator)
