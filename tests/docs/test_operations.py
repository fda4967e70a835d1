"""The commands of docs/operations.md and of README's set-up are run as they stand, from install to removal."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, control_plane
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.openssl import OpensslCa
from tests.support.operator import NAMESPACE, OperatorProcess, operator_kubeconfig
from tests.support.ports import free_ports

pytestmark = pytest.mark.slow("starts a control plane")

TOP = Path(__file__).parents[2]
PAGE, README = TOP / "docs" / "operations.md", TOP / "README.md"
FIRST = "Your first certificate"

NOT_RUN = {
    "kubectl logs -n csr-operator-system deployment/csr-operator": "no node runs the pod here",
    "kubectl csr approve www   ": "asks at a terminal; tests/cli has one",
    "openssl s_client -connect www.example.com:443": "a server in the Internet; tests/demo asks one of its own",
}
"""Lines of the page that no test runs, by how they begin, and why."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A shell in a folder with a copy of `deploy/` and `crds/`, and what was typed in it."""

    cluster: ControlPlane
    folder: Path
    typed: list[str] = field(default_factory=list)

    def block(self, heading: str, containing: str, page: Path = PAGE) -> str:
        """Run the block of commands under this heading that has `containing` in it; returns what it printed."""
        (block,) = [b for b in _blocks(page, heading, "sh") if containing in b]
        self.typed.append(block)
        lines = block.splitlines(keepends=True)
        return self.run("".join(line for line in lines if not line.startswith(tuple(NOT_RUN))))

    def run(self, commands: str) -> str:
        path = os.pathsep.join((str(Path(sys.executable).parent), str(Path(self.cluster.kubectl).parent)))
        done = subprocess.run(
            ["sh", "-euc", commands],
            cwd=self.folder,
            env={**self.cluster.env, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout


def _blocks(page: Path, heading: str, language: str) -> list[str]:
    section = page.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A control plane of its own: definitions are removed from it."""
    folder = tmp_path_factory.mktemp("terminal")
    for name in ("deploy", "crds"):
        shutil.copytree(TOP / name, folder / name)
    with control_plane() as cluster:
        yield Terminal(cluster, folder)


def _install(terminal: Terminal) -> None:
    terminal.block("Install into a cluster", "kubectl apply", README)


def _first_certificate(terminal: Terminal) -> str:
    """README's manifest and what is done with it; returns what was printed."""
    manifest = next(b for b in _blocks(README, FIRST, "yaml") if "kind: Issuer" in b)
    (terminal.folder / "www.yaml").write_text(manifest)
    return terminal.block(FIRST, "openssl verify", README)


def _wait_gone(kubectl: Kubectl, kind: str, name: str) -> None:
    wait_until(f"{kind} {name} is gone", lambda: not kubectl.get(kind, name))


def _wait_reason(kubectl: Kubectl, name: str, kind: str, reason: str) -> None:
    wait_until(
        f"{name} is {kind} because of {reason}",
        lambda: condition(kubectl.get("csreq", name), kind).get("reason") == reason,
    )


def _csr(kubectl: Kubectl, name: str) -> str:
    return str(kubectl.get("csreq", name).get("status", {}).get("csr", ""))


def test_a_first_certificate_without_a_cluster(terminal: Terminal) -> None:
    """By what README has typed in the shell of `make shell`; the operator's ports are others, as those may be taken."""
    (block,) = [b for b in _blocks(README, "Try it without a cluster", "sh") if "kubectl apply" in b]
    addresses = zip(("probe", "metrics", "acme-http"), free_ports(3), strict=True)
    ports = " ".join(f"--{name}-address=127.0.0.1:{port}" for name, port in addresses)
    started = block.replace("csr-operator run", f"csr-operator run {ports}")
    assert started != block
    pid = int(terminal.run(f"{started}echo $!").splitlines()[-1])
    try:
        assert "www.crt: OK" in _first_certificate(terminal)
        terminal.run("kubectl delete -f www.yaml")
    finally:
        os.kill(pid, signal.SIGTERM)


def test_the_page_is_run_from_install_to_removal(terminal: Terminal, tmp_path: Path) -> None:
    cluster, kubectl = terminal.cluster, Kubectl(terminal.cluster, "default")
    system = Kubectl(cluster, NAMESPACE)
    company = OpensslCa.create(tmp_path / "company")
    asks = request("www", "careful", revocation={"onDelete": True})
    _install(terminal)
    image = system.get("deployment", "csr-operator")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example.com/csr-operator:0.1.0"
    kubectl("create", "namespace", "monitoring")
    terminal.block("Ports and the network", "metrics=enabled")
    terminal.block("Another image", "kubectl scale")
    assert system.get("deployment", "csr-operator")["spec"]["replicas"] == 2

    with OperatorProcess(operator_kubeconfig(cluster, tmp_path), tmp_path / "operator.log") as operator:
        kubectl.apply(
            *root_and_ca(),
            issuer("careful", **_ca_with_crl("careful"), approval="Manual"),
            issuer("offline", manual={}),
            issuer("company", **_ca_with_crl("company")),
            asks,
            request("bank", "offline"),
            request("api", "company", revocation={"onDelete": True}),
        )
        kubectl.wait_ready("root", "api")

        # Approval, by the plug-in and without it.
        terminal.run('kubectl patch csreq www --type=merge -p \'{"spec": {"dnsNames": ["two.example.com"]}}\'')
        _wait_reason(kubectl, "www", "Ready", "ApprovalPending")
        terminal.block("Approval", "kubectl csr approve")
        assert condition(kubectl.get("csreq", "www"), "Denied")["message"].startswith("not ours")
        kubectl("delete", "csreq", "www")
        kubectl.apply(asks)
        _wait_reason(kubectl, "www", "Ready", "ApprovalPending")
        terminal.block("Approval", "--subresource=status")
        kubectl.wait_ready("www")

        # A person signs, twice.
        wait_until("the CSR is there", lambda: _csr(kubectl, "bank"))
        first = terminal.run("kubectl csr export bank")
        (terminal.folder / "chain.pem").write_text(company.sign(first) + company.certificate)
        terminal.block("Manual signing", "kubectl csr import")
        kubectl.wait_ready("bank")
        terminal.run("kubectl annotate csreq bank csr-operator.dev/renew=renewed")
        wait_until("there is another CSR", lambda: _csr(kubectl, "bank") not in ("", first))
        (terminal.folder / "chain.pem").write_text(company.sign(_csr(kubectl, "bank")) + company.certificate)
        terminal.block("Manual signing", "csr-operator.dev/import")
        wait_until("it is renewed", lambda: kubectl.get("csreq", "bank")["status"]["revision"] == 2)

        # Another key for the state, another version: no certificate is issued for that.
        revisions = [r["status"]["revision"] for r in kubectl.list("csreq")]
        terminal.block("The key of the state", "kubectl patch secret")
        operator.stop()
        terminal.block("Upgrade", "kubectl delete deployment")
        terminal.block("Upgrade", "kubectl apply")
        operator.start()
        kubectl.wait_ready("root", "api", "www", "bank")
        assert [r["status"]["revision"] for r in kubectl.list("csreq")] == revisions

        terminal.block("Troubleshooting", "kubectl get csreq -A")
        terminal.block("Troubleshooting", "status.serialNumber")

        # A revocation that nobody can do any more.
        kubectl("delete", "issuers.csr-operator.dev", "careful")
        kubectl("delete", "csreq", "www", "--wait=false")
        _wait_reason(kubectl, "www", "Stalled", "RevocationPending")
        terminal.block("Revocation", "abandon-revocation")
        _wait_gone(kubectl, "csreq", "www")

        # Removal that keeps the Secrets, an order of a person under way included.
        terminal.run("kubectl annotate csreq bank --overwrite csr-operator.dev/renew=again")
        wait_until("there is an order", lambda: kubectl.list("secrets", "-l", "csr-operator.dev/staging=true"))
        system("create", "secret", "generic", "company-ca", "--from-literal=tls.key=precious")
        assert "company-ca" in terminal.block("Remove", "kubectl get secrets -n")
        terminal.block("Remove", "--cascade=orphan")
        wait_until(
            "no order is left", lambda: not kubectl.list("secrets", "-l", "csr-operator.dev/staging=true"), seconds=60
        )
        terminal.block("Remove", "kubectl delete -k cluster/")
        assert {"root-tls", "bank-tls", "api-tls"} <= _names(kubectl, "secrets")
        assert "company-ca" in _names(system, "secrets")
        assert not [name for name in _names(kubectl, "crds") if name.endswith("csr-operator.dev")]


def test_removal_together_with_the_secrets_and_without_the_operator(terminal: Terminal, tmp_path: Path) -> None:
    cluster = terminal.cluster
    system = Kubectl(cluster, NAMESPACE)
    _install(terminal)
    system("create", "namespace", "team")
    team = Kubectl(cluster, "team")
    objects = (
        issuer("root"),
        request("root", "root", commonName="Test Root", isCA=True),
        issuer("company", **_ca_with_crl("company")),
        request("api", "company", revocation={"onDelete": True}),
    )
    with OperatorProcess(operator_kubeconfig(cluster, tmp_path), tmp_path / "operator.log") as operator:
        team.apply(*objects)
        team.wait_ready("api", "root")
        team("delete", "csreq", "root", "--cascade=orphan")
        terminal.block("Remove", "kubectl delete csreq --all -A\n")
        _wait_gone(team, "secret", "api-tls")

        team.apply(*objects[-1:])
        team.wait_ready("api")
        operator.kill()

    team("delete", "csreq", "--all", "--wait=false")
    terminal.block("Remove", "finalizers")
    _wait_gone(team, "csreq", "api")
    terminal.run("kubectl delete namespace team --timeout=60s")
    terminal.block("Remove", "kubectl delete namespace csr-operator-system")


def test_every_command_of_the_page_was_run(terminal: Terminal) -> None:
    """By the tests above; the backup by tests/backup, and what takes over by tests/operator/test_adoption.py."""
    if not terminal.typed:
        pytest.skip("the tests above were not run")
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    blocks = [
        block
        for section in sections
        if not section.startswith(("Backup and restore\n", "Take over existing Secrets\n"))
        for block in re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    ]
    assert [block for block in blocks if block not in terminal.typed] == []


def _ca_with_crl(name: str) -> dict[str, Any]:
    return {"ca": {"secretName": "root-tls", "crl": {"secretName": f"{name}-crl"}}}


def _names(kubectl: Kubectl, kind: str) -> set[str]:
    return {obj["metadata"]["name"] for obj in kubectl.list(kind)}
