"""What all tests share: one real control plane per session, and a namespace of its own for each test."""

import subprocess
import uuid
from collections.abc import Iterator

import pytest

from devcluster import ControlPlane, control_plane


@pytest.fixture(scope="session")
def cluster() -> Iterator[ControlPlane]:
    """A control plane with the CRDs of `crds/` installed, thrown away at the end of the session."""
    with control_plane() as plane:
        yield plane


@pytest.fixture
def namespace(cluster: ControlPlane) -> str:
    """The name of an empty namespace that nobody else uses. It is left behind: the control plane goes as a whole."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    subprocess.run([cluster.kubectl, "create", "namespace", name], env=cluster.env, check=True, capture_output=True)
    return name
