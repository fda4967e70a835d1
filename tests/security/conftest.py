"""An operator that the tests of one module share, and somebody who may do one thing only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.site import REQUEST, Site, running_site


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A namespace with an operator, in which the issuer `ca` signs."""
    with running_site(cluster, operator_credentials, tmp_path_factory.mktemp("site")) as site:
        yield site


class StatusWriter:
    """Mallory, who may read requests and write their status, and nothing else."""

    def __init__(self, site: Site) -> None:
        self._site = site
        site.kubectl("create", "role", "mallory", "--verb=get,list,watch", "--resource=certificaterequests")
        status = ("--verb=get,patch,update", "--resource=certificaterequests/status")
        site.kubectl("create", "role", "mallory-status", *status)
        for role in ("mallory", "mallory-status"):
            site.kubectl("create", "rolebinding", role, f"--role={role}", "--user=mallory")

    def writes(self, name: str, status: dict[str, Any]) -> None:
        patch = json.dumps({"status": status})
        self._site.kubectl(
            *("patch", REQUEST, name, "--subresource=status", "--type=merge", "--as=mallory"),
            "--patch-file=/dev/stdin",
            stdin=patch,
        )

    def may(self, verb: str, resource: str, subresource: str = "") -> bool:
        where = (f"--subresource={subresource}",) if subresource else ()
        try:
            self._site.kubectl("auth", "can-i", verb, resource, *where, "--as=mallory", "--quiet")
        except AssertionError:
            return False
        return True


@pytest.fixture(scope="module")
def mallory(site: Site) -> StatusWriter:
    return StatusWriter(site)
