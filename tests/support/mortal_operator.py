"""csr-operator that names each write, and each call of a CA, and ends like by kill -9 at the one that it is told.

A point is such a request with its number among those of its name. In the folder `POINTS` the file `plan` says in which
stage of a test it is, and where to end: "before" a request is sent, or "after" it was answered, when the answer has
come and nothing has seen it; or after how many of either, whatever they are, since the plan is so. Of several operators
with the same folder, one ends: who comes there first. The file `points` gets a line for each request that is sent, and
one for its answer.
"""

import json
import os
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import dns.asyncquery
import dns.message
import dns.opcode
import yaml
from aiohttp.connector import Connection

from csr_operator.__main__ import main
from csr_operator.manager.operator import Operator
from tests.support.nursery import POINTS

_READS = ("GET", "HEAD")
_VERBS = {"POST": "create", "PUT": "replace", "DELETE": "delete", "PATCH": "patch"}
_UNNAMED = frozenset({"events", "leases", "configmaps"})
"""What has other names in each run."""
_ORDER = re.compile(r"-[0-9a-f]{12}-order$")
_IDENTIFIER = re.compile(r"(?=.*\d)(?!v\d+$).*|.{20,}")


class Points:
    """folder: for `plan` and `points`. cluster: the URL of the API server."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self._folder, self._cluster = folder, cluster
        self._numbers = Counter[tuple[str, str]]()
        self._passed, self._of = 0, -1  # how many, and while the plan had which number
        self._file = os.open(folder / "points", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def name(self, request: aiohttp.ClientRequest) -> str:
        """Empty for what only reads the cluster."""
        path = request.url.path
        if not str(request.url).startswith(f"{self._cluster}/"):
            parts = ("*" if _IDENTIFIER.fullmatch(part) else part for part in path.split("/"))
            return f"CA {request.method} {'/'.join(parts)}"
        if request.method in _READS:
            return ""
        verb = "apply" if "apply" in request.headers.get("Content-Type", "") else _VERBS[request.method]
        _, _, rest = path.partition("/namespaces/")
        _, plural, *names = rest.split("/")
        name, *subresource = (*names, "")[:2] if names else ("",)
        shown = "" if plural in _UNNAMED else _ORDER.sub("-order", name)
        return " ".join(filter(None, (verb, "/".join(filter(None, (plural, *subresource))), shown)))

    def reach(self, name: str) -> str:
        """The request is about to be sent; returns the point."""
        stage = str(self._plan()["stage"])
        self._numbers[stage, name] += 1
        point = f"{stage}: {name} {self._numbers[stage, name]}"
        self._pass("before", point)
        return point

    def leave(self, point: str) -> None:
        """It was answered."""
        self._pass("after", point)

    def _pass(self, side: str, point: str) -> None:
        os.write(self._file, f"{side} {point}\n".encode())
        plan = self._plan()
        self._passed = self._passed + 1 if self._of == plan["number"] else 1
        self._of = plan["number"]
        is_there = (plan["side"], plan["point"]) == (side, point) or plan["passes"] == self._passed
        if is_there and self._is_first(plan["number"]):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_first(self, number: int) -> bool:
        try:
            os.close(os.open(self._folder / f"killed-{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def _plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads((self._folder / "plan").read_text())
        return plan


def run(_: float, arguments: list[str]) -> int:
    """The number says nothing here."""
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    points = Points(Path(os.environ[POINTS]), config["clusters"][0]["cluster"]["server"].rstrip("/"))
    send, ask = aiohttp.ClientRequest.send, dns.asyncquery.tcp

    async def send_named(request: aiohttp.ClientRequest, connection: Connection) -> aiohttp.ClientResponse:
        if not (name := points.name(request)):
            return await send(request, connection)
        point = points.reach(name)
        response = await send(request, connection)
        start = response.start

        async def start_named(connection: Connection) -> aiohttp.ClientResponse:
            answer = await start(connection)
            points.leave(point)
            return answer

        response.start = start_named  # type: ignore[method-assign]
        return response

    async def ask_named(query: dns.message.Message, *args: Any, **kwargs: Any) -> dns.message.Message:
        if query.opcode() != dns.opcode.UPDATE:
            return await ask(query, *args, **kwargs)
        point = points.reach("DNS UPDATE")
        answer = await ask(query, *args, **kwargs)
        points.leave(point)
        return answer

    with (
        patch.object(aiohttp.ClientRequest, "send", send_named),
        patch.object(dns.asyncquery, "tcp", ask_named),
    ):
        return main(arguments, lambda given: Operator(replace(given, metrics_kept=0.0)))
