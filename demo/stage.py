"""What each story of the demo begins with: a folder, processes that end with it, and the operator."""

import os
import signal
import sys
from pathlib import Path
from typing import Self

from demo.servers import Server, free_port, operator, service_account_kubeconfig
from demo.terminal import Terminal
from devcluster.group import ProcessGroup


class Stage:
    """A context: what it starts has ended, and its folder is gone, when it is left, whatever happens."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def __enter__(self) -> Self:
        self._group = ProcessGroup()
        self._folder = self._group.directory
        self._env = os.environ | {
            "DEMO": str(self._folder),
            "TMPDIR": str(self._folder),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        return self

    def __exit__(self, *_: object) -> None:
        # Ctrl-C again must not leave keys behind.
        for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)
        self._group.close()

    def tell(self) -> None:
        """Raises DemoFailed where a step fails."""
        raise NotImplementedError

    def _install(self, acme_port: int = 0) -> Server:
        """acme_port: where it answers http-01; any if 0."""
        self._terminal.say(
            "This is a real Kubernetes API server, fresh and for this demo alone. $DEMO is a temporary folder "
            "that only you can read. Long dumps of bytes are folded; nothing else in the output is touched."
        )
        self._terminal.heading("Install the operator")
        self._terminal.say("deploy/ holds the custom resource definitions, the rights and the Deployment.")
        self._show("kubectl apply --server-side -f deploy/namespace.yaml")
        self._show("kubectl apply --server-side -k deploy/")
        self._terminal.say(
            "This control plane has no node that could run the Deployment's pod. So the operator runs as a process "
            "of this machine, with a token of the same ServiceAccount: it has the rights that deploy/ gives it, and "
            "no others."
        )
        kubeconfig = self._folder / "operator.kubeconfig"
        service_account_kubeconfig(self._env, kubeconfig)
        self._show("KUBECONFIG=$DEMO/operator.kubeconfig kubectl auth whoami")
        return operator(self._group, self._env | {"KUBECONFIG": str(kubeconfig)}, free_port(), acme_port)

    def _apply(self, name: str) -> None:
        self._show(f"cat examples/demo/{name}.yaml")
        self._show(f"kubectl apply -f examples/demo/{name}.yaml")
        self._show(f"kubectl wait csreq/{name} --for=condition=Ready --timeout=60s")

    def _show(self, command: str) -> str:
        return self._terminal.show(command, self._env)
