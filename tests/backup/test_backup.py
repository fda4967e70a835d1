"""What the operations guide says of backup and restore, done with its own commands: no CA is asked again."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane, control_plane
from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import own_csr
from tests.support.operator import NAMESPACE, OperatorProcess, operator_kubeconfig
from tests.support.site import REQUEST, Site, decoded, running_site

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
GROUP = "csr-operator.dev"
STATE_KEY = "csr-operator-state-key"
USER = "oscar"


def blocks(heading: str) -> list[str]:
    """The shell commands in a section of the guide."""
    section = GUIDE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def run(cluster: ControlPlane, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(cluster.kubectl).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **cluster.env, "PATH": path}, capture_output=True, text=True
    )


@dataclass(frozen=True, slots=True)
class Dump:
    """A folder with the files of the guide, and what was in the namespace when they were made."""

    folder: Path
    namespace: str
    secrets: dict[str, dict[str, str]]
    statuses: dict[str, dict[str, Any]]


def _those_of(folder: Path, namespace: str) -> None:
    """The control plane that was dumped is shared: leave out what others have in there."""
    for name in ("operator.json", "secrets.json", "requests.json"):
        path = folder / name
        dump = json.loads(path.read_text())
        where = {"operator.json": (NAMESPACE,), "secrets.json": (namespace,), "requests.json": (namespace,)}[name]
        dump["items"] = [item for item in dump["items"] if item["metadata"].get("namespace") in where]
        if name == "operator.json":
            dump["items"] = [item for item in dump["items"] if item["metadata"]["name"] == STATE_KEY]
        path.write_text(json.dumps(dump))


@pytest.fixture(scope="module")
def dump(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Dump:
    """Of requests of all kinds: with the key elsewhere, retained, below a CA whose root is not known."""
    folder = tmp_path_factory.mktemp("dump")
    with running_site(cluster, operator_credentials, folder) as site:
        kubectl = site.kubectl
        kubectl.apply(
            opaque("password", password="changeit"),
            issuer("person", manual={}),
            request("intermediate", "ca", commonName="Intermediate", isCA=True, duration="43800h"),
            request("plain", "ca"),
            request("kept", "ca", deletionPolicy="Retain"),
            request("own", "ca", request=own_csr(folder, "own")),
            request(
                "stores",
                "ca",
                keystores={"pkcs12": {"create": True, "passwordSecretRef": {"name": "password", "key": "password"}}},
            ),
            request("renewed", "ca"),
            request("waiting", "person"),
        )
        kubectl.wait_ready("intermediate", "plain", "kept", "own", "stores", "renewed")
        data = kubectl.get("secret", "intermediate-tls")["data"]
        rootless = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rootless"}, "type": "kubernetes.io/tls"}
        kubectl.apply(
            rootless | {"data": {name: data[name] for name in ("tls.crt", "tls.key")}},
            issuer("rootless", ca={"secretName": "rootless"}),
            request("bare", "rootless"),
            request("bare-kept", "rootless", deletionPolicy="Retain"),
        )
        kubectl("annotate", REQUEST, "renewed", f"{GROUP}/renew=now")
        site.wait_status("renewed", revision=2)
        kubectl.wait_ready("bare", "bare-kept")
        kubectl.apply(request("a-rival", "ca", secretName="plain-tls"))
        site.wait_condition("waiting", "Reconciling", "ActionRequired")
        site.wait_condition("a-rival", "Stalled", "SecretNotOwned")
        site.settle()
    done = run(cluster, folder, blocks("Backup and restore")[0])
    assert done.returncode == 0, done.stderr
    _those_of(folder, kubectl.namespace)
    theirs = [kubectl.get("secret", name) for name in ("password", "rootless")]  # of their own, from manifests
    for secret in theirs:
        secret["metadata"] = {"name": secret["metadata"]["name"], "namespace": kubectl.namespace}
    (folder / "theirs.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": theirs}))
    names = [name for r in kubectl.list(REQUEST) if (name := r["metadata"]["name"]) not in ("waiting", "a-rival")]
    secrets = {name: decoded_or_raw(kubectl, f"{name}-tls") for name in names}
    statuses = {name: kubectl.get(REQUEST, name)["status"] for name in names}
    return Dump(folder, kubectl.namespace, secrets, statuses)


def decoded_or_raw(kubectl: Kubectl, name: str) -> dict[str, str]:
    """`data` of a Secret, in base64."""
    data: dict[str, str] = kubectl.get("secret", name).get("data", {})
    return data


@pytest.fixture(scope="module")
def fresh(dump: Dump) -> Iterator[Kubectl]:
    """kubectl in the namespace of the dump, in a control plane in which nothing is yet."""
    with control_plane() as plane:
        kubectl = Kubectl(plane, dump.namespace)
        kubectl("create", "namespace", dump.namespace)
        kubectl("create", "namespace", NAMESPACE)
        yield kubectl


def _restore(kubectl: Kubectl, dump: Dump, file: str) -> None:
    """As the guide says, by somebody who has the rights that it says."""
    (command,) = [line for line in blocks("Backup and restore")[1].splitlines() if f" {file}" in line]
    user = f"create --as={USER}"
    done = run(kubectl.cluster, dump.folder, command.replace("create", user, 1))
    assert done.returncode == 0, done.stderr


def _let_in(kubectl: Kubectl) -> None:
    for role in ("edit", "csr-operator-issuers", "csr-operator-state-manager"):
        kubectl("create", "clusterrolebinding", f"{USER}-{role}", f"--clusterrole={role}", f"--user={USER}")

    def may() -> bool:
        verbs = (("create", "secrets"), ("create", f"issuers.{GROUP}"), ("create", f"{REQUEST}s.{GROUP}"))
        try:
            for verb, resource in verbs:
                kubectl("auth", "can-i", verb, resource, f"--as={USER}", "--quiet")
        except AssertionError:
            return False
        return True

    wait_until("the rights are in force", may, seconds=60)


def _assert_back(site: Site, dump: Dump, *, but_for: frozenset[str] = frozenset()) -> None:
    site.kubectl.wait_ready(*dump.secrets, seconds=120)
    for name, data in dump.secrets.items():
        secret = site.kubectl.get("secret", f"{name}-tls")
        same = {part: value for part, value in data.items() if not part.endswith((".p12", ".jks"))}
        assert decoded(secret | {"data": {k: secret["data"][k] for k in same}}) == decoded({"data": same}), name
        status = site.status(name)
        for field in {"serialNumber", "notAfter", "sha256Fingerprint", "revision"} - but_for:
            assert status[field] == dump.statuses[name][field], name
        owners = [owner["name"] for owner in secret["metadata"].get("ownerReferences", ())]
        assert owners == ([] if name.endswith("kept") else [name])
    waiting = condition(site.kubectl.get(REQUEST, "waiting"), "Reconciling")
    assert waiting["reason"] == "ActionRequired"
    rival = site.wait_condition("a-rival", "Stalled", "SecretNotOwned")  # whichever was restored first
    assert "belongs to CertificateRequest plain " in rival["message"]
    assert len(dump.secrets) >= 9
    assert _asked(site) == 0


def _asked(site: Site) -> float:
    """How often a CA was asked, but for the person who is asked for nothing else than to wait."""
    return sum(
        site.operator.metric("csr_operator_ca_calls_total", call="submit", backend=backend)
        for backend in ("ca", "selfSigned")
    )


def test_nothing_of_the_cluster_is_in_the_dump(dump: Dump) -> None:
    for name in ("secrets.json", "requests.json"):
        items = json.loads((dump.folder / name).read_text())["items"]
        assert items
        for item in items:
            assert item["metadata"].keys() <= {"name", "namespace", "labels", "annotations"}
            assert "status" not in item
    kinds = [item["metadata"]["labels"] for item in json.loads((dump.folder / "secrets.json").read_text())["items"]]
    assert not any(f"{GROUP}/staging" in labels for labels in kinds)


def test_a_restored_backup_asks_no_ca(dump: Dump, fresh: Kubectl, tmp_path: Path) -> None:
    """With the key of the state, which is there before the operator is; it runs while the rest is restored."""
    operator_json = run(fresh.cluster, dump.folder, blocks("Backup and restore")[1].splitlines()[0])
    assert operator_json.returncode == 0, operator_json.stderr
    credentials = operator_kubeconfig(fresh.cluster, tmp_path)
    _let_in(fresh)
    with OperatorProcess(credentials, dump.folder / "restored.log", "--namespace", dump.namespace) as operator:
        site = Site(fresh, operator)
        fresh("create", "-f", str(dump.folder / "theirs.json"))
        _restore(fresh, dump, "secrets.json")
        _restore(fresh, dump, "requests.json")
        _assert_back(site, dump)
        assert site.warnings("renewed") == []
    fresh("delete", REQUEST, "--all", "--cascade=orphan", "--timeout=60s")


def test_what_was_left_by_a_removal_is_taken_over(dump: Dump, fresh: Kubectl, tmp_path: Path) -> None:
    """The requests are made anew while the operator is not there, as by who installs it again."""
    fresh("apply", "-f", str(dump.folder / "requests.json"))
    credentials = operator_kubeconfig(fresh.cluster, tmp_path)
    with OperatorProcess(credentials, dump.folder / "again.log", "--namespace", dump.namespace) as operator:
        _assert_back(Site(fresh, operator), dump)
    fresh("delete", REQUEST, "--all", "--timeout=60s")
    fresh("delete", "secrets", "-l", f"{GROUP}/managed", "--timeout=60s")
    fresh("delete", "issuers", "--all")


def test_it_does_so_without_the_key_of_the_state(dump: Dump, fresh: Kubectl, tmp_path: Path) -> None:
    fresh("delete", "secret", STATE_KEY, "-n", NAMESPACE)
    credentials = operator_kubeconfig(fresh.cluster, tmp_path)
    with OperatorProcess(credentials, dump.folder / "keyless.log", "--namespace", dump.namespace) as operator:
        _restore(fresh, dump, "secrets.json")
        _restore(fresh, dump, "requests.json")
        _assert_back(Site(fresh, operator), dump, but_for=frozenset({"revision"}))
