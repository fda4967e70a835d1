"""An operator that the tests of one module share, each with names of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl
from tests.support.manifests import root_and_ca
from tests.support.operator import OperatorProcess
from tests.support.site import Site, new_namespace


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A namespace with an operator, in which the issuer `ca` signs."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    log = tmp_path_factory.mktemp("site") / "operator.log"
    arguments = ("--namespace", kubectl.namespace, "--rotation-spread", "0.1")
    with OperatorProcess(operator_credentials, log, *arguments) as operator:
        kubectl.apply(*root_and_ca())
        kubectl.wait_ready("ca", kind="issuer")
        yield Site(kubectl, operator)
