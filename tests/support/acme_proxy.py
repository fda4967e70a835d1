"""Goes between an ACME client and Pebble: sees each exchange, and does to it what networks and busy CAs do.

Pebble writes the host that it was asked for into its URLs, so that a client that was given the proxy's directory stays
with the proxy.
"""

import asyncio
import base64
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.support.loop import LoopThread
from tests.support.pebble import Pebble

STEPS: Mapping[str, str] = {
    "/dir": "directory",
    "/nonce-plz": "nonce",
    "/sign-me-up": "account",
    "/order-plz": "new order",
    "/my-order/": "order",
    "/authZ/": "authorization",
    "/chalZ/": "challenge",
    "/finalize-order/": "finalize",
    "/certZ/": "certificate",
    "/draft-ietf-acme-ari-03/": "renewal information",
    "/list-orderz/": "orders",
    "/rollover-account-key": "key change",
}


@dataclass(slots=True)
class _Plan:
    """What is done with the next exchanges of one step. before: the server is not reached."""

    times: int
    do: Callable[[web.Request], None] | None = None
    answer: tuple[int, bytes, Mapping[str, str]] | None = None
    cut: bool = False
    before: bool = False
    gate: threading.Event | None = None


@dataclass(slots=True)
class AcmeProxy:
    """A context manager; it serves from a thread of its own.

    directory: URL. seen: how often each step was made, but for what a used nonce made the server refuse. placed: the
    identifiers of each order that the server took, and replaced: what such an order was to replace (RFC 9773).
    overrides: headers of the answers to a step.

    like_lets_encrypt: a challenge stays `pending` while it is looked at, and is not told of twice (409); the same names
    get the same order until it is finalized; a Location is relative. leaves_alone: so many times a certificate comes
    without its intermediates. repeated: the challenges that were told of more than once. in_flight: requests that are
    on their way, or whose answers are.
    """

    server: Pebble
    directory: str = ""
    overrides: dict[str, Mapping[str, str]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    placed: list[frozenset[str]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    like_lets_encrypt: bool = False
    leaves_alone: int = 0
    repeated: list[str] = field(default_factory=list)
    in_flight: int = 0
    _transports: WeakSet[asyncio.Transport] = field(default_factory=WeakSet)
    _told: set[str] = field(default_factory=set)
    _orders: dict[frozenset[str], web.Response] = field(default_factory=dict)
    _finalizes: dict[str, frozenset[str]] = field(default_factory=dict)
    _nonces: set[str] = field(default_factory=set)
    _stale: set[str] = field(default_factory=set)
    _plans: dict[str, list[_Plan]] = field(default_factory=dict)
    _loop: LoopThread = field(default_factory=lambda: LoopThread("acme-proxy"))
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    def __enter__(self) -> "AcmeProxy":
        self._loop.start()
        self._loop.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        for plans in self._plans.values():
            for plan in plans:
                if plan.gate is not None:
                    plan.gate.set()
        self._loop.run(self._end())
        self._loop.end()

    def when(self, step: str, do: Callable[[], object], *, before: bool = False) -> None:
        """Call `do` once, when the server has answered (or before it is asked) and before the client knows."""
        self._plan(step, _Plan(1, do=lambda _: (do(), None)[1], before=before))

    def forget_nonces(self) -> None:
        """None that was given so far is good any more."""
        self._stale |= self._nonces

    def refuse(
        self,
        step: str,
        status: int,
        problem: str,
        *,
        times: int = 1,
        detail: str = "the proxy says so",
        **headers: str,
    ) -> None:
        """Answer by a problem document, or (problem empty) by HTML as a proxy of the CA does. `Retry_After="3"`."""
        body = b"<html>bad gateway</html>"
        if problem:
            kind = f"urn:ietf:params:acme:error:{problem}"
            body = json.dumps({"type": kind, "detail": detail, "status": status}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._plan(step, _Plan(times, answer=(status, body, named), before=True))

    def cut(self, step: str, *, before: bool = False, times: int = 1) -> None:
        """Break the connection instead of answering, after (or before) the server did as it was asked."""
        self._plan(step, _Plan(times, cut=True, before=before))

    def hold(self, step: str) -> threading.Event:
        """Let the next answer wait until the event is set."""
        gate = threading.Event()
        self._plan(step, _Plan(1, gate=gate))
        return gate

    def _plan(self, step: str, plan: _Plan) -> None:
        assert step in STEPS.values()
        self._plans.setdefault(step, []).append(plan)

    async def _start(self) -> None:
        folder = self.server.ca_file.parent
        trusted = ssl.create_default_context(cafile=self.server.ca_file)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted, limit=0))
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(folder / "server.pem", folder / "server.key")
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=served).start()
        port = self._runner.addresses[0][1]
        self.directory = f"https://127.0.0.1:{port}/dir"

    async def _end(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        for transport in self._transports:
            transport.abort()  # the end of TLS waits for the other side, which may still be there
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._transports.add(request.transport)
        self.in_flight += 1
        try:
            return await self._served(request)
        finally:
            self.in_flight -= 1

    async def _served(self, request: web.Request) -> web.StreamResponse:
        step = next((name for path, name in STEPS.items() if request.path.startswith(path)), "other")
        plans = self._plans.get(step) or []
        plan = plans[0] if plans else None
        if plan is not None:
            plan.times -= 1
            if plan.times == 0:
                plans.pop(0)
        if plan is not None and plan.before and (answer := await self._act(plan, request)) is not None:
            self.seen[step] += 1
            return answer
        if (answer := await self._as_ca(request, step)) is not None:
            self.seen[step] += 1
            return answer
        response = await self._forward(request, step)
        if isinstance(response.body, bytes) and response.status == 400 and b":badNonce" in response.body:
            if plan is not None and not plan.before:
                self._again(step, plan)  # the server did nothing yet
            return response
        self.seen[step] += 1
        if plan is not None and not plan.before and (answer := await self._act(plan, request)) is not None:
            return answer
        return response

    def _again(self, step: str, plan: _Plan) -> None:
        plan.times += 1
        plans = self._plans.setdefault(step, [])
        if all(one is not plan for one in plans):
            plans.insert(0, plan)

    async def _act(self, plan: _Plan, request: web.Request) -> web.Response | None:
        if plan.gate is not None:
            await asyncio.to_thread(plan.gate.wait, 60)
        if plan.do is not None:
            await asyncio.to_thread(plan.do, request)
        if plan.cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if plan.answer is not None:
            status, body, headers = plan.answer
            kind = "application/problem+json" if body.startswith(b"{") else "text/html"
            return web.Response(status=status, body=body, headers={**headers, "Content-Type": kind})
        return None

    async def _as_ca(self, request: web.Request, step: str) -> web.Response | None:
        """What the CA answers without Pebble."""
        body = await request.read()
        if request.method == "POST" and _protected(body)["nonce"] in self._stale:
            return await self._problem(400, "badNonce")
        if not self.like_lets_encrypt:
            return None
        if step == "challenge" and request.path in self._told:
            self.repeated.append(request.path)
            return await self._problem(409, "conflict")
        if step == "new order" and (known := self._orders.get(_names(body))) is not None:
            headers = {**known.headers, "Replay-Nonce": await self._nonce()}
            return web.Response(status=known.status, body=known.body, headers=headers)
        if step == "finalize":
            self._orders.pop(self._finalizes.get(request.path, frozenset()), None)
        return None

    async def _problem(self, status: int, kind: str) -> web.Response:
        text = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": "the proxy says so"})
        headers = {"Content-Type": "application/problem+json", "Replay-Nonce": await self._nonce()}
        return web.Response(status=status, text=text, headers=headers)

    async def _nonce(self) -> str:
        assert self._session is not None
        async with self._session.head(self.server.directory.removesuffix("/dir") + "/nonce-plz") as answer:
            nonce = answer.headers["Replay-Nonce"]
        self._nonces.add(nonce)
        return nonce

    def _changed(self, request: web.Request, step: str, sent: bytes, status: int, body: bytes, headers: Any) -> bytes:
        """The body of Pebble's answer as the CA sends it, and its headers with it."""
        self._nonces.add(headers.get("Replay-Nonce", ""))
        if step == "certificate" and self.leaves_alone and status == 200:
            self.leaves_alone -= 1
            return body[: body.index(_END) + len(_END)]
        if not self.like_lets_encrypt:
            return body
        if "Location" in headers:
            headers["Location"] = "/" + headers["Location"].split("/", 3)[3]
        if step == "challenge" and status == 200:
            self._told.add(request.path)
        if step in ("challenge", "authorization"):
            body = body.replace(b'"processing"', b'"pending"')
        if step == "authorization" and status == 200:
            said = json.loads(body)
            if said["status"] not in ("pending", "valid"):  # an order that has come to nothing is given to nobody
                failed = said["identifier"]["value"]
                self._orders = {
                    names: order for names, order in self._orders.items() if not {failed, f"*.{failed}"} & names
                }
        if step == "new order" and status == 201:
            names = _names(sent)
            self._finalizes["/" + json.loads(body)["finalize"].split("/", 3)[3]] = names
            self._orders[names] = web.Response(status=status, body=body, headers=headers)
        return body

    async def _forward(self, request: web.Request, step: str) -> web.Response:
        assert self._session is not None
        upstream = self.server.directory.removesuffix("/dir")
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        async with self._session.request(
            request.method,
            f"{upstream}{request.path_qs}",
            data=body or None,
            headers={**headers, "Host": request.host},
        ) as answer:
            passed: list[tuple[str, str]] = [
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            ]
            if step == "new order" and answer.status == 201:
                asked = _payload(body)
                self.placed.append(frozenset(identifier["value"] for identifier in asked["identifiers"]))
                self.replaced += [asked["replaces"]] if "replaces" in asked else []
            replaced = CIMultiDict(passed)
            replaced.update(self.overrides.get(step, {}))
            passed_on = self._changed(request, step, body, answer.status, await answer.read(), replaced)
            return web.Response(status=answer.status, body=passed_on, headers=replaced)


_HOP_BY_HOP = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "host"})


_END = b"-----END CERTIFICATE-----\n"


def _names(body: bytes) -> frozenset[str]:
    """That an order is asked for."""
    return frozenset(identifier["value"] for identifier in _payload(body)["identifiers"])


def _protected(body: bytes) -> Any:
    """The header of a JWS."""
    text = json.loads(body)["protected"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _payload(body: bytes) -> Any:
    """Of a JWS."""
    payload = json.loads(body)["payload"]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
