"""The answer to a write is lost with all connections, or another operator writes as well: what serves is not revoked.

The CA keeps orders under the key that they were placed with, so that who asks twice gets the same certificate twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from csr_operator.pki.fingerprint import serial_octets, whole_octets
from devcluster import ControlPlane
from tests.support.api_proxy import ApiProxy
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.revocation import OWED, renew
from tests.support.site import Site, new_namespace
from tests.support.third_party import EXAMPLE, Branch, HttpCa, external, install

RENEWALS = 5
SPEC = {"revocation": {"onRotation": True}}


@dataclass(frozen=True)
class Scene:
    site: Site
    branch: Branch
    proxy: ApiProxy
    installed: Path

    def in_use(self, name: str) -> str:
        annotations = self.site.kubectl.get("secret", f"{name}-tls")["metadata"]["annotations"]
        return str(annotations["csr-operator.dev/serial-number"])

    def debts(self, name: str) -> bool:
        return OWED in self.site.kubectl.get("secret", f"{name}-tls")["metadata"]["annotations"]

    def revoked(self) -> list[str]:
        return [whole_octets(serial) for serial in self.branch.revoked]

    def issued(self) -> list[str]:
        """The serial numbers of all that the CA signed, in order."""
        certificates = [certificate for _, certificate in self.branch.orders.values()]
        return [serial_octets(x509.load_pem_x509_certificate(pem.encode())) for pem in certificates]

    def revision(self, name: str) -> int:
        return int(self.site.status(name)["revision"])

    def wait_renewed(self, name: str, before: int) -> None:
        self.site.wait(f"{name} is renewed", lambda: self.revision(name) > before)
        wait_until(f"{name} owes nothing", lambda: not self.debts(name), 60)

    def renewed(self, *names: str) -> dict[str, list[str]]:
        """Renew each a few times; returns the serial numbers of their certificates, the last one in use."""
        serials = {name: [self.in_use(name)] for name in names}
        for number in range(2, RENEWALS + 2):
            before = {name: self.revision(name) for name in names}
            for name in names:
                self.proxy.lose_answer("PATCH", f"/secrets/{name}-tls")
                renew(self.site, name, str(number))
            for name in names:
                self.wait_renewed(name, before[name])
                # In this order: what is in use now may be replaced and revoked in the next moment.
                revoked = self.revoked()
                serials[name].append(self.in_use(name))
                assert serials[name][-1] not in revoked
        return serials


@pytest.fixture(scope="module")
def scene(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("lost-answers")
    (installed := folder / "installed").mkdir()
    install(EXAMPLE, installed)
    kubectl = Kubectl(cluster, new_namespace(cluster))
    with HttpCa() as ca, ApiProxy(Path(cluster.kubeconfig)) as proxy:
        branch = ca.branch("orders")
        kubeconfig = proxy.kubeconfig(operator_credentials, folder)
        arguments = (folder / "operator.log", "--namespace", kubectl.namespace)
        with OperatorProcess(kubeconfig, *arguments, installed=installed) as operator:
            kubectl.apply(external(branch, "orders", "example-orders"))
            kubectl.wait_ready("orders", kind="issuer")
            yield Scene(Site(kubectl, operator), branch, proxy, installed)


def test_an_answer_that_is_lost_revokes_nothing_that_serves(scene: Scene) -> None:
    scene.site.kubectl.apply(request("www", "orders", **SPEC))
    scene.site.kubectl.wait_ready("www")

    serials = scene.renewed("www")["www"]

    assert scene.revision("www") == RENEWALS + 1
    assert scene.proxy.broken >= RENEWALS
    assert len(set(serials)) == len(serials) == len(scene.branch.orders)
    assert scene.revoked() == serials[:-1]
    assert scene.site.warnings("www") == []


def test_nor_do_two_operators_at_once(scene: Scene, operator_credentials: Path, tmp_path: Path) -> None:
    """They may renew twice where once would do, as neither sees at once what the other wrote."""
    names = [f"shared-{n}" for n in range(3)]
    arguments = (tmp_path / "second.log", "--namespace", scene.site.kubectl.namespace)
    with OperatorProcess(operator_credentials, *arguments, installed=scene.installed):
        revoked, issued = len(scene.revoked()), len(scene.issued())
        scene.site.kubectl.apply(*(request(name, "orders", **SPEC) for name in names))
        scene.site.kubectl.wait_ready(*names)
        serials = scene.renewed(*names)

    def all_but_those_in_use_are_revoked() -> bool:
        in_use = {scene.in_use(name) for name in names}
        return set(scene.revoked()[revoked:]) == set(scene.issued()[issued:]) - in_use

    scene.site.wait("all that was replaced is revoked, and nothing else", all_but_those_in_use_are_revoked)
    assert {serial for each in serials.values() for serial in each[:-1]} <= set(scene.revoked()[revoked:])
    notes = [event["note"] for name in names for event in scene.site.warnings(name)]
    assert [note for note in notes if "delete it" in note] == []
