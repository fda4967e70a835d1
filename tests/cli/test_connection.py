"""Which cluster, namespace and user it is; and what is said when there is none."""

import copy
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from devcluster import ControlPlane
from tests.cli.support import SCRIPTS, Plugin, administrators_kubeconfig, config, user, written
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.site import new_namespace


@pytest.fixture(scope="module")
def kubectl(cluster: ControlPlane) -> Kubectl:
    """In a namespace with one request, `www`; no operator runs."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    kubectl.apply(request("www", "ca"))
    return kubectl


@pytest.fixture(scope="module")
def csr(kubectl: Kubectl, folder: Path) -> Plugin:
    return Plugin(kubectl.cluster, administrators_kubeconfig(kubectl, folder))


def test_as_a_plugin_of_kubectl(csr: Plugin, kubectl: Kubectl) -> None:
    plugin = Plugin(kubectl.cluster, csr.kubeconfig, by_kubectl=True)

    assert "Not ready: Unseen" in plugin("status", "www").out
    missing, senseless = plugin.run("status", "nope"), plugin.run("status", "-o", "wide")
    assert (missing.status, missing.out) == (1, "")
    assert missing.err == 'Error from server (NotFound): certificaterequests.csr-operator.dev "nope" not found\n'
    assert (senseless.status, senseless.out) == (2, "")
    assert senseless.err.startswith("usage: kubectl csr status ")


def test_the_namespace_is_that_of_the_context_unless_another_is_given(csr: Plugin, kubectl: Kubectl) -> None:
    assert csr.json("status")["items"][0]["namespace"] == kubectl.namespace
    assert csr.json("status", "-n", "nobody-is-there")["items"] == []
    assert "not found" in csr.refused("status", "www", "--namespace", "nobody-is-there")
    (cluster_wide,) = (i for i in csr.json("status", "-A")["items"] if i["namespace"] == kubectl.namespace)
    assert cluster_wide["name"] == "www"


def test_the_context_and_the_file_can_be_chosen(csr: Plugin, kubectl: Kubectl, tmp_path: Path) -> None:
    settings = config(kubectl.cluster, "nobody-is-there")
    (context,) = settings["contexts"]
    other = copy.deepcopy(context)
    other["name"], other["context"]["namespace"] = "other", kubectl.namespace
    settings["contexts"].append(other)
    both = str(written(tmp_path / "both.kubeconfig", settings))

    assert csr.json("status", "--kubeconfig", both)["items"] == []
    assert len(csr.json("status", "--kubeconfig", both, "--context", "other")["items"]) == 1
    said = csr.refused("status", "--kubeconfig", both, "--context", "third")
    assert f"cannot use the kubeconfig {both}: " in said
    assert "third" in said
    assert "/nowhere" in csr.refused("status", "--kubeconfig", "/nowhere")


def test_of_several_files_the_first_decides_as_with_kubectl(csr: Plugin, kubectl: Kubectl, tmp_path: Path) -> None:
    settings = config(kubectl.cluster, "default")
    settings["contexts"][0]["name"] = settings["current-context"] = "elsewhere"
    elsewhere = written(tmp_path / "elsewhere.kubeconfig", settings)
    missing = tmp_path / "missing"

    for files, found in (((missing, csr.kubeconfig, elsewhere), True), ((elsewhere, csr.kubeconfig), False)):
        listed = csr.run("status", KUBECONFIG=":".join(map(str, files)))
        assert listed.status == 0, listed.err
        assert ("www" in listed.out) == found


def test_no_configuration_at_all(csr: Plugin, tmp_path: Path) -> None:
    answer = csr.run("status", KUBECONFIG="", HOME=str(tmp_path))
    assert answer.status == 1
    assert answer.err.startswith(f"error: no cluster is configured: there is no {tmp_path}/.kube/config")


@pytest.mark.parametrize("text", ["", "{", "a: b", "apiVersion: v1\nkind: Config\ncurrent-context: nothing\n"])
def test_a_kubeconfig_that_is_none(text: str, csr: Plugin, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    answer = csr.run("status", KUBECONFIG=str(path))
    assert answer.status == 1
    assert answer.err.startswith(f"error: cannot use the kubeconfig {path}: ")
    assert answer.err.count("\n") == 1


def test_a_server_that_does_not_answer(csr: Plugin, kubectl: Kubectl, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        settings = config(kubectl.cluster, "default")
        settings["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{unused.getsockname()[1]}"
        path = written(tmp_path / "down.kubeconfig", settings)
        said = csr.refused("status", "--kubeconfig", str(path))
    assert said.startswith("error: the API server does not answer: list certificaterequests: ")


def test_a_token_that_nobody_knows(csr: Plugin, kubectl: Kubectl, tmp_path: Path) -> None:
    settings = config(kubectl.cluster, "default")
    settings["users"][0]["user"] = {"token": "stale"}
    path = written(tmp_path / "stale.kubeconfig", settings)
    assert "does not know you (401 Unauthorized)" in csr.refused("status", "--kubeconfig", str(path))


def test_as_somebody_else(csr: Plugin, kubectl: Kubectl, tmp_path: Path) -> None:
    """Who is asked for, and not who asks, needs the rights; the groups count as well."""
    said = csr.refused("status", "--as", "bob")
    assert 'User "bob" cannot list resource "certificaterequests"' in said
    assert (
        csr.json("status", "www", "--as", "bob", "--as-group", "devs", "--as-group", "system:masters")["name"] == "www"
    )
    said = user(kubectl, tmp_path, "sly").refused("status", "--as", "bob")
    assert f'User "system:serviceaccount:{kubectl.namespace}:sly"' in said
    assert "impersonate" in said


def test_a_user_without_rights(csr: Plugin, kubectl: Kubectl, tmp_path: Path) -> None:
    nobody = user(kubectl, tmp_path, "nobody")
    said = nobody.refused("status")
    assert said.startswith("Error from server (Forbidden): certificaterequests.csr-operator.dev is forbidden: User ")
    assert said.count("\n") == 1


def test_a_selector_that_is_none(csr: Plugin) -> None:
    assert csr.refused("status", "-l", "a in").startswith("Error from server (BadRequest): ")


def test_output_that_nobody_reads_to_the_end(csr: Plugin, kubectl: Kubectl, cluster: ControlPlane) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {SCRIPTS}/kubectl-csr status -o yaml | true"],
        env={**cluster.env, "KUBECONFIG": str(csr.kubeconfig)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert yaml.safe_load(csr("status", "-o", "yaml").out)["items"]
