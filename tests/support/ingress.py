"""Nginx that follows the Ingresses and HTTPRoutes of a cluster, as an ingress controller's does."""

import json
import signal
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from devcluster import ControlPlane
from tests.support.kubectl import wait_until
from tests.support.ports import answers
from tests.support.tools import go_module

INGRESS_CLASS = "nginx"
GATEWAY = {"name": "web", "namespace": "infra"}
GATEWAY_API = "sigs.k8s.io/gateway-api@v1.6.3"

_CONFIGURATION = """\
daemon off;
pid nginx.pid;
error_log stderr notice;

events {}

http {
    log_format routed "$msec $pid $http_host $uri $status $upstream_addr $upstream_status";
    access_log access.log routed;
    client_body_temp_path body.tmp;
    proxy_temp_path proxy.tmp;
    fastcgi_temp_path fastcgi.tmp;
    uwsgi_temp_path uwsgi.tmp;
    scgi_temp_path scgi.tmp;
    server_names_hash_bucket_size 128;

%s}
"""


class Route(NamedTuple):
    """host: empty for all that have no route of their own."""

    host: str
    path: str
    exact: bool
    service: str
    port: int


def install_gateway_api(cluster: ControlPlane) -> None:
    """Some of its CRDs, as the project publishes them."""
    folder = go_module(GATEWAY_API) / "config" / "crd" / "standard"
    kinds = ("gateways", "httproutes", "referencegrants")
    files = [f"--filename={folder}/gateway.networking.k8s.io_{kind}.yaml" for kind in kinds]
    names = [f"crd/{kind}.gateway.networking.k8s.io" for kind in kinds]
    for arguments in (
        ("apply", "--server-side", *files),
        ("wait", "--for=condition=Established", "--timeout=30s", *names),
    ):
        subprocess.run([cluster.kubectl, *arguments], env=dict(cluster.env), check=True, capture_output=True)


class IngressController:
    """services: to which ports of the loopback address the Service of a name leads, where its own port is 80.

    With several ports Nginx takes them in turn, as kube-proxy would the replicas.
    """

    def __init__(self, cluster: ControlPlane, folder: Path, services: Mapping[str, Sequence[int]], port: int) -> None:
        self.port = port
        self._folder, self._services = folder, services
        self._objects: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._write()
        with (folder / "nginx.log").open("wb") as log:
            argv = ["nginx", "-e", "stderr", "-p", f"{folder}/", "-c", "nginx.conf"]
            self._nginx = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_until("Nginx answers", lambda: answers(port))  # before that, a signal would end it
        self._watches: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []
        for kind in ("ingresses.networking.k8s.io", "httproutes.gateway.networking.k8s.io"):
            arguments = ("get", kind, "--all-namespaces", "--watch", "--output-watch-events", "-o", "json")
            watch = subprocess.Popen(
                [cluster.kubectl, *arguments], env=dict(cluster.env), stdout=subprocess.PIPE, text=True
            )
            reader = threading.Thread(target=self._follow, args=(watch,), daemon=True)
            reader.start()
            self._watches.append(watch)
            self._readers.append(reader)

    def close(self) -> None:
        self._nginx.terminate()  # killed, it would leave its workers
        self._nginx.wait()
        for watch, reader in zip(self._watches, self._readers, strict=True):
            watch.kill()
            watch.wait()
            reader.join()
            assert watch.stdout is not None
            watch.stdout.close()

    def routes(self) -> set[Route]:
        """What Nginx was last told."""
        with self._lock:
            return {route for obj in self._objects.values() for route in _routes(obj)}

    def _follow(self, watch: subprocess.Popen[str]) -> None:
        assert watch.stdout is not None
        for line in watch.stdout:
            event = json.loads(line)
            with self._lock:
                obj = event["object"]
                if event["type"] == "DELETED":
                    self._objects.pop(obj["metadata"]["uid"], None)
                else:
                    self._objects[obj["metadata"]["uid"]] = obj
                self._write()
                self._nginx.send_signal(signal.SIGHUP)

    def _write(self) -> None:
        by_host: defaultdict[str, set[Route]] = defaultdict(set, {"": set()})
        for obj in self._objects.values():
            for route in _routes(obj):
                by_host[route.host].add(route)
        upstreams = "".join(
            f"    upstream {name} {{ {' '.join(f'server 127.0.0.1:{port};' for port in ports)} }}\n"
            for name, ports in self._services.items()
        )
        servers = "".join(self._server(host, by_host[host]) for host in sorted(by_host))
        new = self._folder / "nginx.conf.new"
        new.write_text(_CONFIGURATION % (upstreams + servers))
        new.replace(self._folder / "nginx.conf")

    def _server(self, host: str, routes: set[Route]) -> str:
        listen = f"127.0.0.1:{self.port}" + ("" if host else " default_server")
        locations = "".join(
            f"        location {'=' if route.exact else '^~'} {route.path} {{ {self._target(route)} }}\n"
            for route in sorted(routes)
        )
        name = f"        server_name {host};\n" if host else ""
        return (
            f"    server {{\n        listen {listen};\n{name}{locations}        location / {{ return 404; }}\n    }}\n"
        )

    def _target(self, route: Route) -> str:
        if route.service not in self._services or route.port != 80:
            return "return 503;"
        return f"proxy_set_header Host $http_host; proxy_pass http://{route.service};"


def _routes(obj: Mapping[str, Any]) -> Iterator[Route]:
    spec = obj["spec"]
    if obj["kind"] == "Ingress":
        if spec.get("ingressClassName") != INGRESS_CLASS:
            return
        for rule in spec["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                exact = path["pathType"] == "Exact"
                yield Route(rule.get("host", ""), path["path"], exact, service["name"], service["port"]["number"])
        return
    home = obj["metadata"]["namespace"]
    if not any({"name": p["name"], "namespace": p.get("namespace", home)} == GATEWAY for p in spec["parentRefs"]):
        return
    for host in spec.get("hostnames", [""]):
        for rule in spec["rules"]:
            for match in rule["matches"]:
                [backend] = rule["backendRefs"]
                exact = match["path"]["type"] == "Exact"
                yield Route(host, match["path"]["value"], exact, backend["name"], backend["port"])


@contextmanager
def ingress_controller(
    cluster: ControlPlane, folder: Path, services: Mapping[str, Sequence[int]], port: int
) -> Iterator[IngressController]:
    """Nginx on `port` of the loopback address, for Ingresses of INGRESS_CLASS and HTTPRoutes of GATEWAY."""
    install_gateway_api(cluster)
    controller = IngressController(cluster, folder, services, port)
    try:
        yield controller
    finally:
        controller.close()
