"""An operator that the tests of one module share, each with names of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.site import Site, running_site


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A namespace with an operator, in which the issuer `ca` signs."""
    with running_site(cluster, operator_credentials, tmp_path_factory.mktemp("site")) as site:
        yield site
