"""What all tests share: one real control plane per session, the operator's credentials, a namespace for each test."""

import gc
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from kubernetes import client, config

from devcluster import ControlPlane, control_plane
from tests.support.kubectl import Kubectl, close_readers
from tests.support.names import unique
from tests.support.operator import NURSERY, OperatorProcess, operator_kubeconfig
from tests.support.site import new_namespace

# Whoever starts the tests in the background ignores SIGINT, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, which is no failure; and a run that failed can be had again.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: the garbage collector need not look at it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a control plane, for `make test-quick` to leave it out.

    Files in which something takes long come first, and those that take next to nothing last: of the processes that
    share the files none is left alone with a long one at the end.
    """
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")
    if changing := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"these names are others in each process: give the parameters ids: {changing}")
    slow, cluster = ({item.path for item in items if item.get_closest_marker(name)} for name in ("slow", "cluster"))
    items.sort(key=lambda item: (item.path not in slow, item.path not in cluster))


@pytest.hookimpl(trylast=True)  # what is still there at the end of an interrupted run needs them
def pytest_sessionfinish() -> None:
    """Ends what all tests share."""
    close_readers()
    NURSERY.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the CRDs of `crds/` installed, thrown away at the end of the session."""
    with control_plane(audit_log=tmp_path_factory.mktemp("audit") / "audit.log") as plane:
        yield plane


@pytest.fixture(scope="session")
def operator_credentials(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig with the rights of `deploy/` and no others."""
    return operator_kubeconfig(cluster, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def namespace(cluster: ControlPlane) -> str:
    """The name of an empty namespace that nobody else uses. It is left behind: the control plane goes as a whole."""
    return new_namespace(cluster)


@pytest.fixture
def unique_name() -> str:
    """The name of an object or a host that no other test uses."""
    return unique("www")


@pytest.fixture
def kubectl(cluster: ControlPlane, namespace: str) -> Kubectl:
    """kubectl in this test's namespace, as cluster administrator."""
    return Kubectl(cluster, namespace)


@pytest.fixture
def operator(operator_credentials: Path, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator, started, for this test's namespace and the ClusterIssuers."""
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", "--namespace", namespace) as process:
        yield process


@pytest.fixture
def core(cluster: ControlPlane) -> Iterator[Any]:
    """The official client's CoreV1Api, for what has to be quicker than kubectl."""
    with config.new_client_from_config(str(cluster.kubeconfig)) as api:  # type: ignore[no-untyped-call]
        yield client.CoreV1Api(api)
