"""What the contract servers of vendors share: HTTPS on loopback, a journal, records of calls, and faults.

A contract server is written from the documents that a vendor published, for want of a server of the vendor's own that
tests may use: it is emulated from published documents, and not verified by the vendor. A subclass of `ContractServer`
names the documents in its docstring, and answers calls in `answer`.
"""

import asyncio
import json
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from aiohttp import web
from jsonschema import Draft202012Validator

from tests.support.loop import LoopThread
from tests.support.signing import VendorCa, loopback_certificate


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came in. headers: names in lower case. body: as JSON has it, or a form; None without one.

    peer: the common name in the client certificate, if one of `ContractServer.client_ca` was shown.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: Any = None
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """body: bytes go out as they are, everything else as JSON; None is an empty body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Refusal(Exception):
    """Raised in `answer`: the vendor's error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class Damage(StrEnum):
    """What may become of an answer on its way."""

    LOST = "the connection ends without one"
    TRUNCATED = "the connection ends half-way through its body"
    HANGS = "nothing comes until `go_on`, and then the connection ends"


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` calls, instead of what they are for.

    method, path: of the calls that it is about; the path is searched for as a regular expression.
    carried_out: the call does its work nevertheless, as with TRUNCATED in any case, and only the answer is lost.
    """

    what: Reply | Damage
    method: str = ""
    path: str = ""
    times: int = 1
    carried_out: bool = False

    def is_about(self, call: Call) -> bool:
        return self.times > 0 and self.method in ("", call.method) and bool(re.search(self.path, call.path))


class Journal(MutableMapping[str, Any]):
    """JSON values by name, kept in a file: each change is one more line, written before anybody is told of it.

    A value that was changed in place has to be set again. Without a file they are kept in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._values = path, dict[str, Any]()
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                name, value = json.loads(line)
                self._values[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps([name, value]) + "\n")

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError("a vendor forgets nothing")

    def __iter__(self) -> Iterator[str]:
        return iter([*self._values])  # tests look while it serves

    def __len__(self) -> int:
        return len(self._values)


class ContractServer:
    """A context manager, which serves on a free port of 127.0.0.1 from a thread of its own.

    journal: the file that everything is kept in, so that another server with the same file goes on where this one
    ended. clock: what the vendor takes for the time, in UTC. tls: without it, it speaks plain HTTP.

    client_ca: a CA (PEM) whose client certificates are asked for, and known by `Call.peer`; to be set before it serves.
    calls: all that came in, in order. carried_out: called with each call that has done its work, before it is answered.
    """

    name = "Vendor"

    def __init__(
        self, journal: Path | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC), tls: bool = True
    ) -> None:
        self.clock, self.journal = clock, Journal(journal)
        if "ca" not in self.journal:
            self.journal["ca"] = VendorCa.make(self.name).pem()
            self.journal["https"] = loopback_certificate()
        self.ca = VendorCa.load(self.journal["ca"])
        self.client_ca = ""
        self.calls: list[Call] = []
        self.carried_out: Callable[[Call], None] = lambda call: None
        self._faults: list[Fault] = []
        self._tls = tls
        self._thread = LoopThread(self.name)
        self._open = asyncio.Event()
        self._transports = WeakSet[asyncio.Transport]()
        self._runner: web.AppRunner | None = None
        self.port = 0

    def answer(self, call: Call) -> Reply:
        """Do what the call is for. Raises Refusal. Called for one call at a time."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ca_bundle(self) -> str:
        """What its HTTPS certificate leads to (PEM)."""
        return str(self.journal["https"][0])

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.end()

    def start(self) -> None:
        """Serve, on the same port as before `stop`."""
        self._thread.run(self._start())

    def stop(self) -> None:
        """End all connections, and refuse new ones."""
        self._thread.run(self._stop())

    def fail(self, what: Reply | Damage, method: str = "", path: str = "", **more: Any) -> Fault:
        """Have something go wrong, as `Fault` says. Earlier faults come first."""
        fault = Fault(what, method, path, **more)
        self._faults.append(fault)
        return fault

    def go_on(self) -> None:
        """End all faults, and answer what hangs."""
        self._faults.clear()
        self._thread.loop.call_soon_threadsafe(self._release)

    def count(self, method: str, path: str = "") -> int:
        """How many calls came in whose path has this regular expression in it."""
        return sum(call.method == method and bool(re.search(path, call.path)) for call in list(self.calls))

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context() if self._tls else None)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            self._release()
            for transport in list(self._transports):
                transport.abort()  # the end of TLS waits for the other side
            await self._runner.cleanup()
            self._runner = None
            await asyncio.sleep(0)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._transports.add(request.transport)
        call = await _call(request)
        self.calls.append(call)
        fault = next((fault for fault in self._faults if fault.is_about(call)), None)
        if fault is None:
            return _response(self._carry_out(call))
        fault.times -= 1
        done = self._carry_out(call) if fault.carried_out or fault.what is Damage.TRUNCATED else Reply()
        if isinstance(fault.what, Reply):
            return _response(fault.what)
        if fault.what is Damage.TRUNCATED:
            return await _half(request, done)
        if fault.what is Damage.HANGS:
            await self._open.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _carry_out(self, call: Call) -> Reply:
        try:
            reply = self.answer(call)
        except Refusal as refusal:
            reply = refusal.reply
        self.carried_out(call)
        return reply

    def _release(self) -> None:
        self._open.set()
        self._open = asyncio.Event()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write("".join(self.journal["https"]))
            file.flush()
            context.load_cert_chain(file.name)
        if self.client_ca:
            context.load_verify_locations(cadata=self.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


def schema_error(schema: Mapping[str, Any], value: Any) -> str:
    """Why `value` is not as the JSON schema (draft 2020-12) has it, with where; empty if it is."""
    errors = sorted(Draft202012Validator(dict(schema)).iter_errors(value), key=lambda error: str(error.path))
    if not errors:
        return ""
    where = ".".join(str(part) for part in errors[0].absolute_path)
    return f"{where or 'the request'}: {errors[0].message}"


async def _call(request: web.Request) -> Call:
    body: Any = None
    if data := await request.read():
        if request.content_type == "application/x-www-form-urlencoded":
            body = dict(await request.post())
        else:
            try:
                body = json.loads(data)
            except ValueError:
                body = data.decode(errors="replace")
    headers = {name.lower(): value for name, value in request.headers.items()}
    shown = request.get_extra_info("peercert") or {}
    names = dict(pair for part in shown.get("subject", ()) for pair in part)
    return Call(request.method, request.path, dict(request.query), headers, body, names.get("commonName", ""))


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.data, headers=_headers(reply))


async def _half(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    response.content_length = len(reply.data)
    await response.prepare(request)
    await response.write(reply.data[: len(reply.data) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


def _headers(reply: Reply) -> Mapping[str, str]:
    kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
    return {"Content-Type": kind, **reply.headers} if reply.data else reply.headers
