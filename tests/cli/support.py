"""`kubectl csr` as users run it: the installed plug-in, called by kubectl, with a kubeconfig of their own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from csr_operator.cli import main
from devcluster import ControlPlane
from tests.support.kubectl import Kubectl

SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """stdout, with each run of white space as one space."""
        return re.sub(r"\s+", " ", self.out)


class Plugin:
    """`kubectl csr` with one kubeconfig.

    by_kubectl: called by kubectl as a process of its own, as users do. Else its `main` in this process, which spares
    half a second of imports.
    """

    def __init__(self, cluster: ControlPlane, kubeconfig: Path, *, by_kubectl: bool = False) -> None:
        self._cluster, self.kubeconfig = cluster, kubeconfig
        self._answer = self._by_kubectl if by_kubectl else self._here

    def run(self, *arguments: str, stdin: str = "", **env: str) -> Answer:
        answer = self._answer(arguments, stdin, {"KUBECONFIG": str(self.kubeconfig), **env})
        assert "Traceback" not in answer.err, answer.err
        return answer

    def __call__(self, *arguments: str, stdin: str = "") -> Answer:
        """It has to succeed."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.status == 0, f"kubectl csr {' '.join(arguments)}: {answer.err}{answer.out}"
        return answer

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """It has to fail with exit status 1; returns what it said of that."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.status == 1, f"kubectl csr {' '.join(arguments)}: {answer}"
        return answer.err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json").out)

    def at_terminal(self, terminal: int, *arguments: str) -> Answer:
        """Called by kubectl, with this file descriptor as what its user types at."""
        done = subprocess.run(
            [self._cluster.kubectl, "csr", *arguments],
            env={
                **self._cluster.env,
                "PATH": f"{SCRIPTS}:{self._cluster.env['PATH']}",
                "KUBECONFIG": str(self.kubeconfig),
            },
            stdin=terminal,
            capture_output=True,
            text=True,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def _by_kubectl(self, arguments: Sequence[str], stdin: str, env: Mapping[str, str]) -> Answer:
        path = f"{SCRIPTS}:{self._cluster.env['PATH']}"
        done = subprocess.run(
            [self._cluster.kubectl, "csr", *arguments],
            env={**self._cluster.env, "PATH": path, **env},
            input=stdin,
            capture_output=True,
            text=True,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def _here(self, arguments: Sequence[str], stdin: str, env: Mapping[str, str]) -> Answer:
        out, err, given = (TextIOWrapper(BytesIO(data), encoding="utf-8") for data in (b"", b"", stdin.encode()))
        with (
            patch.dict(os.environ, env),
            patch.object(sys, "stdin", given),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                status = main(list(arguments))
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
        return Answer(status, _text(out), _text(err))


def _text(stream: TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def wait_unready(kubectl: Kubectl, reason: str, *names: str) -> None:
    """All of these requests are not Ready for this reason: one call, where polling would be many."""
    path = '{.status.conditions[?(@.type=="Ready")].reason}'
    kubectl("wait", f"--for=jsonpath={path}={reason}", "--timeout=30s", "certificaterequest", *names)


def administrators_kubeconfig(kubectl: Kubectl, folder: Path) -> Path:
    """A kubeconfig with the namespace of `kubectl` in its context."""
    return written(folder / "admin.kubeconfig", config(kubectl.cluster, kubectl.namespace))


def user(kubectl: Kubectl, folder: Path, name: str, *rules: Mapping[str, Sequence[str]]) -> Plugin:
    """A new ServiceAccount with these rights (rules of a Role) in the namespace, and no others."""
    subject = {"kind": "ServiceAccount", "name": name, "namespace": kubectl.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    rbac, metadata = "rbac.authorization.k8s.io/v1", {"name": name}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": rbac, "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]},
    )
    settings = config(kubectl.cluster, kubectl.namespace)
    settings["users"] = [{"name": name, "user": {"token": kubectl("create", "token", name).strip()}}]
    settings["contexts"][0]["context"]["user"] = name
    return Plugin(kubectl.cluster, written(folder / f"{name}.kubeconfig", settings))


def rule(resources: str, verbs: str, group: str = "csr-operator.dev") -> dict[str, list[str]]:
    """One rule of a Role; resources and verbs separated by spaces."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


READER = (rule("certificaterequests", "get list watch"), rule("issuers", "get list watch"))
"""What a user may who sees requests and issuers, and no Secret."""


def config(cluster: ControlPlane, namespace: str) -> dict[str, Any]:
    """The administrator's kubeconfig as a value, with this namespace in its context."""
    settings: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    for context in settings["contexts"]:
        context["context"]["namespace"] = namespace
    return settings


def written(path: Path, settings: Mapping[str, Any]) -> Path:
    """`path`, with a kubeconfig in it."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(settings))
    return path
