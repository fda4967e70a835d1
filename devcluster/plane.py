"""A Kubernetes control plane of one's own: fresh, on loopback, gone when it is no longer needed.

etcd listens on a Unix socket in a directory of mode 0700, kube-apiserver on a port of 127.0.0.1 that stays
reserved as long as the plane lives, kube-controller-manager on nothing.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import yaml

from devcluster.api import ApiClient, Resource
from devcluster.build import ensure_binary
from devcluster.certs import Authority, kubeconfig, private_key
from devcluster.errors import DevclusterError, tail
from devcluster.group import ProcessGroup

CRDS = Path(__file__).parent.parent / "crds"

_ETCD = "etcd"
_APISERVER = "kube-apiserver"
_CONTROLLER_MANAGER = "kube-controller-manager"
_KUBECTL = "kubectl"
_CONTROLLERS = (
    "certificatesigningrequest-signing-controller",
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
)
# One line of the audit log is one finished request; a watch is one line, when it ends.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}
_CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# Memory for processor time, of which collecting garbage else takes a third of what a write costs; up to a bound.
_RUNTIME = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
_POLL = 0.02
_PATIENCE = 120.0

Programs = Mapping[str, Sequence[str | Path]]


def say(text: str) -> None:
    """Tell the user what is going on, on standard error."""
    print(f"devcluster: {text}", file=sys.stderr, flush=True)


class ControlPlane:
    """A running control plane.

    kubeconfig: makes its reader cluster-admin.
    kubectl: of the same version as the API server (with KUBEBUILDER_ASSETS: the one in there).
    url: of the API server, whose certificate the CA in `kubeconfig` signed.
    env: the environment for a client: this process's, with KUBECONFIG set and `kubectl` first on PATH.
    audit_log: the file that gets one JSON line per finished request, if asked for; see `audit_events`.
    """

    def __init__(
        self, programs: Programs, group: ProcessGroup, port: int, audit_log: Path | None, options: Sequence[str]
    ) -> None:
        self._programs, self._options = programs, options
        self._group = group
        self._directory = directory = group.directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

        ca = Authority()
        self._ca = ca.key_pair.write(directory, "ca")
        self._serving = ca.server().write(directory, _APISERVER)
        tls = ssl.create_default_context(cafile=self._ca[0])
        admin = ca.client("devcluster-admin", "system:masters")
        tls.load_cert_chain(*admin.write(directory, "admin"))
        (directory / "service-accounts.key").write_bytes(private_key())

        self._port = port
        self._api = ApiClient(port, tls)
        self.url = f"https://127.0.0.1:{port}"
        self.audit_log = audit_log and audit_log.absolute()
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(kubeconfig(self.url, ca.key_pair.certificate, admin))
        manager = ca.client("system:kube-controller-manager")
        self._manager_kubeconfig = directory / f"{_CONTROLLER_MANAGER}.kubeconfig"
        self._manager_kubeconfig.write_text(kubeconfig(self.url, ca.key_pair.certificate, manager))

        # The binary is whatever it is called, so a link named kubectl is kubectl.
        self.kubectl = directory / "bin" / _KUBECTL
        self.kubectl.parent.mkdir()
        self.kubectl.symlink_to(programs[_KUBECTL][0])
        self.env: Mapping[str, str] = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": os.pathsep.join([str(self.kubectl.parent), os.environ.get("PATH", os.defpath)]),
        }

    def stop_apiserver(self) -> None:
        """Kill the API server, as a crash would; connections are refused until `start_apiserver`."""
        process = self._running.pop(_APISERVER)
        process.kill()
        process.wait()

    def start_apiserver(self) -> None:
        """Start the API server again on the same port and data; return when it is ready."""
        self._spawn_apiserver()
        self._wait_ready()

    @contextlib.contextmanager
    def without_controllers(self) -> Iterator[None]:
        """While this lasts nothing collects garbage, ends namespaces or signs CSRs, as while they have much to do."""
        process = self._running[_CONTROLLER_MANAGER]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _spawn_apiserver(self) -> None:
        arguments = [
            "--etcd-servers=unix://etcd:0",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            "--permit-port-sharing",
            f"--tls-cert-file={self._serving[0]}",
            f"--tls-private-key-file={self._serving[1]}",
            f"--client-ca-file={self._ca[0]}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--service-account-issuer={self.url}",
            "--service-account-key-file=service-accounts.key",
            "--service-account-signing-key-file=service-accounts.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
        ]
        if self.audit_log:
            (self._directory / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
            arguments += [
                "--audit-policy-file=audit-policy.yaml",
                f"--audit-log-path={self.audit_log}",
                "--audit-log-maxsize=1000000",  # MB: a benchmark's log is not to be rotated away
            ]
        self._spawn(_APISERVER, [*arguments, *self._options])

    def audit_events(self) -> list[Resource]:
        """The events of the audit log, oldest first: one for each request that has been answered by now.

        https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Event
        """
        if self.audit_log is None:
            raise ValueError("the control plane was started without audit_log")
        marker = self._settle(self.audit_log)
        with self.audit_log.open("rb") as lines:
            return [json.loads(line) for line in itertools.takewhile(lambda line: marker not in line, lines)]

    def adopt(self, process_group: int) -> None:
        """Have a process group of the caller's killed too, should the caller itself be killed before."""
        self._group.adopt(process_group)

    def _start(self, crds: list[Resource]) -> None:
        self._spawn(
            _ETCD,
            [
                "--data-dir=etcd.data",
                "--unsafe-no-fsync",
                # Its only member elects itself once it has waited this long, in ms.
                "--heartbeat-interval=50",
                "--election-timeout=250",
                "--listen-client-urls=unix://etcd:0",
                "--advertise-client-urls=unix://etcd:0",
                "--listen-peer-urls=unix://etcd-peer:0",
                "--initial-advertise-peer-urls=unix://etcd-peer:0",
                "--initial-cluster=default=unix://etcd-peer:0",
            ],
        )
        self._wait("listen", (self._directory / "etcd:0").exists)
        self._spawn_apiserver()
        # It takes CRDs a second before it is ready.
        for crd in crds:
            self._wait("take the custom resource definitions", partial(self._created, crd))
        self._wait("serve the custom resources", lambda: all(map(self._served, crds)))
        self._wait_ready()
        if _CONTROLLER_MANAGER in self._programs:
            # After the CRDs: the garbage collector looks for new resources only every 30 s.
            self._spawn(
                _CONTROLLER_MANAGER,
                [
                    f"--kubeconfig={self._manager_kubeconfig}",
                    f"--controllers={','.join(_CONTROLLERS)}",
                    "--use-service-account-credentials",
                    "--leader-elect=false",
                    "--secure-port=0",
                    f"--cluster-signing-cert-file={self._ca[0]}",
                    f"--cluster-signing-key-file={self._ca[1]}",
                    "--kube-api-qps=200",
                    "--kube-api-burst=400",
                ],
            )

    def _settle(self, log: Path) -> bytes:
        """Wait until what has been answered is in the audit log; return what marks the line after it."""
        # A line is written after the answer has gone out, at once and whole: a later request's line follows it.
        marker = f"/livez?after={uuid.uuid4()}"
        self._api.get(marker)
        self._api.close()

        def written() -> bool:
            with log.open("rb") as lines:
                lines.seek(max(0, log.stat().st_size - 1_000_000))
                return marker.encode() in lines.read()

        self._wait("write its audit log", written)
        return marker.encode()

    def _stop(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                say(self._death(name, process))
                return
        if self.audit_log and _APISERVER in self._running:
            self._settle(self.audit_log)

    def _created(self, crd: Resource) -> bool:
        status, answer = self._api.call("POST", _CRD_PATH, crd)
        # A server that is not up yet gives no answer, or 403, 404 or 503. 409: the answer to an earlier try was lost.
        if status in (400, 422):
            name = crd.get("metadata", {}).get("name", "a CRD without a name")
            raise DevclusterError(f"{name} is refused: {answer['message']}")
        return status in (201, 409)

    def _served(self, crd: Resource) -> bool:
        name, spec = crd["metadata"]["name"], crd["spec"]
        conditions = (self._api.get(f"{_CRD_PATH}/{name}") or {}).get("status", {}).get("conditions") or []
        if not any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions):
            return False
        # Established comes first; kubectl also needs to find the resource in the discovery document.
        groups = (self._api.get("/apis", accept=_DISCOVERY) or {}).get("items", [])
        resources = {
            (group["metadata"]["name"], version["version"], resource["resource"])
            for group in groups
            for version in group["versions"]
            for resource in version["resources"]
        }
        group, plural = spec["group"], spec["names"]["plural"]
        versions = [version["name"] for version in spec["versions"] if version["served"]]
        return all(
            (group, version, plural) in resources
            and self._api.get(f"/apis/{group}/{version}/{plural}?limit=1") is not None
            for version in versions
        )

    def _wait_ready(self) -> None:
        self._wait("be ready", lambda: self._api.get("/readyz") is not None)
        self._wait("have its namespaces", lambda: self._api.get("/api/v1/namespaces/default") is not None)
        self._api.close()

    def _spawn(self, name: str, arguments: list[str]) -> None:
        self._running[name] = self._group.spawn(
            # The environment is left out: etcd, for one, takes settings from it.
            [*self._programs[name], *arguments],
            env=_RUNTIME,
            output=self._log(name),
        )

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise DevclusterError(self._death(name, process))
            if time.monotonic() > deadline:
                name = list(self._running)[-1]
                log = tail(self._log(name))
                raise DevclusterError(f"{name} did not {what} within {_PATIENCE:.0f} s\n{log}")
            time.sleep(_POLL)

    def _death(self, name: str, process: subprocess.Popen[bytes]) -> str:
        return f"{name} ended with status {process.returncode}\n{tail(self._log(name))}"


@contextlib.contextmanager
def control_plane(
    *, audit_log: Path | None = None, crds: Path = CRDS, options: Sequence[str] = ()
) -> Iterator[ControlPlane]:
    """Start a control plane that serves the custom resources of the YAML files in `crds`; end it after.

    The binary is built first where the cache does not hold it (minutes), unless KUBEBUILDER_ASSETS names a
    folder with etcd, kube-apiserver and kubectl. `audit_log` is overwritten. `options` are of kube-apiserver, besides
    those that it is started with anyway.

    Raises DevclusterError where a part does not start; the text ends with the tail of its log.
    """
    definitions = _definitions(crds)
    if audit_log:
        audit_log.write_bytes(b"")
    programs = _programs()
    with ProcessGroup() as group, _reserved_port() as port:
        plane = ControlPlane(programs, group, port, audit_log, options)
        with contextlib.closing(plane._api):
            plane._start(definitions)
            try:
                yield plane
            finally:
                plane._stop()


def _programs() -> Programs:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    names = (_ETCD, _APISERVER, _CONTROLLER_MANAGER, _KUBECTL)
    if not assets:
        binary = ensure_binary(say)
        return {name: [binary, name] for name in names}
    folder = Path(assets).absolute()
    programs = {name: [folder / name] for name in names if os.access(folder / name, os.X_OK)}
    missing = set(names) - set(programs)
    if absent := ", ".join(sorted(missing - {_CONTROLLER_MANAGER})):
        raise DevclusterError(f"KUBEBUILDER_ASSETS={assets} lacks {absent}: complete or unset it")
    if missing:
        say(f"no {_CONTROLLER_MANAGER} in {assets}: nothing collects garbage, ends namespaces or signs CSRs")
    return programs


@contextlib.contextmanager
def _reserved_port() -> Iterator[int]:
    """A free port that nobody else gets, not even an outgoing connection, while the API server is down.

    The socket is bound but does not listen; the API server shares the port (SO_REUSEPORT).
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _definitions(folder: Path) -> list[Resource]:
    definitions = []
    for file in sorted(folder.glob("*.yaml")):
        try:
            documents = list(yaml.safe_load_all(file.read_text()))
        except yaml.YAMLError as error:
            raise DevclusterError(f"{file} is not YAML: {error}") from error
        definitions += [
            document for document in documents if document and document.get("kind") == "CustomResourceDefinition"
        ]
    return definitions
