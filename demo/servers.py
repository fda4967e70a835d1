"""The two servers of the demo: the operator, and Nginx. Both end with the group of processes they are in."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography import x509

from demo.terminal import DemoFailed
from devcluster.errors import tail
from devcluster.group import ProcessGroup

_PATIENCE = 30.0
_NAMESPACE = "csr-operator-system"


class Server:
    """A process and its log; it is there once `answers` is true."""

    def __init__(
        self, name: str, argv: list[str], group: ProcessGroup, env: Mapping[str, str], answers: Callable[[], bool]
    ) -> None:
        self.name = name
        self.log = group.directory / f"{name}.log"
        self._process = group.spawn(argv, env=env, output=self.log)
        self.wait(f"{name} to answer", answers)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Until `condition` is true; DemoFailed when the process has ended, or after half a minute."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if self._process.poll() is not None:
                raise DemoFailed(f"{self.name} ended with status {self._process.returncode}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {_PATIENCE:.0f} s for {what}:\n{tail(self.log)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # the group is killed anyway
            self._process.wait(_PATIENCE)


def operator(group: ProcessGroup, env: Mapping[str, str], port: int, acme_port: int) -> Server:
    """`csr-operator run` with the kubeconfig that `env` names; its probes are on `port`, http-01 on `acme_port`."""
    address = f"127.0.0.1:{port}"

    def ready() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    command = ["csr-operator", "run", "--probe-address", address, "--metrics-address", "127.0.0.1:0"]
    command += ["--acme-http-address", f"127.0.0.1:{acme_port}"]
    return Server("csr-operator", command, group, env, ready)


def service_account_kubeconfig(env: Mapping[str, str], path: Path) -> None:
    """Write a kubeconfig that is the operator's ServiceAccount to the API server, by a token of one hour."""

    def kubectl(*arguments: str) -> str:
        done = subprocess.run(["kubectl", *arguments], env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--output=json"))
    token = kubectl("create", "token", "csr-operator", "--namespace", _NAMESPACE, "--duration=1h").strip()
    config["users"] = [{"name": "csr-operator", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "csr-operator"
    write_private(path, json.dumps(config).encode())


def nginx(group: ProcessGroup, env: Mapping[str, str], port: int) -> Server:
    """Nginx in the group's directory, which holds nginx.conf, tls.crt and tls.key; it serves HTTPS on `port`."""
    argv = ["nginx", "-e", "stderr", "-p", f"{group.directory}/", "-c", "nginx.conf"]
    return Server("nginx", argv, group, env, lambda: served_serial(port) is not None)


def served_serial(port: int) -> int | None:
    """The serial number of the certificate that a server on `port` shows; None if there is none."""
    with contextlib.suppress(OSError):
        pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
        return x509.load_pem_x509_certificate(pem.encode()).serial_number
    return None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, in place of an older one at once."""
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(data)
    new.rename(path)
