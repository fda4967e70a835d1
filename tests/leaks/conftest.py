"""A control plane of its own: the operator watches all namespaces of it."""

from collections.abc import Iterator

import pytest

from devcluster import ControlPlane, control_plane


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with control_plane() as plane:
        yield plane
