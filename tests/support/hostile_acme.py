"""An ACME CA that validates nothing, and lies as a test tells it to: what no real server does.

Without a lie it goes through all of RFC 8555: a challenge that it is told of counts as proven.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.contract import Call, ContractServer, Reply

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
PROBLEM = "urn:ietf:params:acme:error:"

Lie = Callable[[Any], Any]
"""Given the honest body (JSON, or bytes of a chain), the one that is sent; or a Reply, which is sent as it is."""


class HostileAcme(ContractServer):
    """lies: by step: directory, nonce, account, new-order, order, authorization, challenge, finalize, certificate,
    alternate, orders, renewal-info. headers: what the answers to a step have besides.

    proves: a challenge that it is told of counts as proven; else it never is. orders, authorizations, chains: what it
    sends for them, by number.
    """

    name = "Hostile ACME"

    def __init__(self) -> None:
        super().__init__()
        self.lies: dict[str, Lie] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.proves = True
        self.orders: dict[int, dict[str, Any]] = {}
        self.authorizations: dict[int, dict[str, Any]] = {}
        self.chains: dict[int, bytes] = {}
        self._numbers: Iterator[int] = count(1)

    @property
    def directory(self) -> str:
        return f"{self.url}/directory"

    def forget(self) -> None:
        """As it was at first: what other tests did is unknown to it."""
        self.proves = True
        for known in (self.lies, self.headers, self.orders, self.authorizations, self.chains):
            known.clear()
        self.calls.clear()

    def asked(self, step: str) -> int:
        """How many calls of that step came in."""
        return sum(call.path.split("/")[1] == step for call in list(self.calls))

    def add_order(self, *names: str, authorizations: tuple[str, ...] | None = None, status: str = "pending") -> str:
        """An order of the account for DNS names; returns its URL. authorizations: names of others."""
        number = next(self._numbers)
        urls = [self._authorization(one) for one in (names if authorizations is None else authorizations)]
        self.orders[number] = {
            "status": status,
            "identifiers": [{"type": "dns", "value": name} for name in names],
            "authorizations": urls,
            "finalize": f"{self.url}/finalize/{number}",
        }
        return f"{self.url}/order/{number}"

    def _authorization(self, name: str) -> str:
        number = next(self._numbers)
        kinds = ("dns-01", "http-01", "dns-persist-01")
        self.authorizations[number] = {
            "status": "pending",
            "identifier": {"type": "dns", "value": name.removeprefix("*.")},
            **({"wildcard": True} if name.startswith("*.") else {}),
            "challenges": [
                {"type": kind, "url": f"{self.url}/challenge/{number}", "status": "pending", "token": TOKEN}
                for kind in kinds
            ],
        }
        return f"{self.url}/authorization/{number}"

    def answer(self, call: Call) -> Reply:
        step, _, rest = call.path.removeprefix("/").partition("/")
        body, headers = self._honest(step, rest, _payload(call.body))
        if step in self.lies:
            body = self.lies[step](body)
        nonce = {} if step == "directory" else {"Replay-Nonce": "abcdefghijkl"}
        headers = {**nonce, **headers, **self.headers.get(step, {})}
        if isinstance(body, Reply):
            return Reply(body.status, body.body, {**headers, **body.headers})
        return Reply(200, body, headers)

    def _honest(self, step: str, rest: str, payload: Any) -> tuple[Any, Mapping[str, str]]:
        number = int(rest) if rest.isdigit() else 0
        match step:
            case "directory":
                paths = {"newNonce": "nonce", "newAccount": "account", "newOrder": "new-order", "revokeCert": "revoke"}
                urls = {name: f"{self.url}/{path}" for name, path in paths.items()}
                return {**urls, "keyChange": f"{self.url}/key", "renewalInfo": f"{self.url}/renewal-info"}, {}
            case "account":
                account = {"status": "valid", "orders": f"{self.url}/orders"}
                return account, {"Location": f"{self.url}/account/1"}
            case "new-order":
                url = self.add_order(*(one["value"] for one in payload["identifiers"]))
                return self.orders[int(url.rpartition("/")[2])], {"Location": url}
            case "orders":
                return {"orders": [f"{self.url}/order/{number}" for number in self.orders]}, {}
            case "order":
                return self._order(number), {}
            case "authorization":
                if payload.get("status") == "deactivated":
                    self.authorizations[number]["status"] = "deactivated"
                return self.authorizations[number], {}
            case "challenge":
                if self.proves:
                    self.authorizations[number]["status"] = "valid"
                return self.authorizations[number]["challenges"][0], {}
            case "finalize":
                self._sign(number, payload["csr"])
                return self.orders[number], {}
            case "certificate" | "alternate":
                return self.chains[number], {}
            case "renewal-info":
                now = self.clock()
                window = {"start": now + timedelta(days=20), "end": now + timedelta(days=21)}
                return {"suggestedWindow": {name: each.isoformat() for name, each in window.items()}}, {}
        return {}, {}

    def _order(self, number: int) -> dict[str, Any]:
        order = self.orders[number]
        proven = [self.authorizations[int(url.rpartition("/")[2])]["status"] for url in order["authorizations"]]
        if order["status"] == "pending" and all(status == "valid" for status in proven):
            order["status"] = "ready"
        return order

    def _sign(self, number: int, csr_text: str) -> None:
        csr = x509.load_der_x509_csr(base64.urlsafe_b64decode(csr_text + "=="))
        names = list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        now = self.clock()
        ends = now + timedelta(days=30)
        leaf = self.ca.sign(csr.public_key(), x509.Name([]), names, now - timedelta(hours=1), ends)
        self.chains[number] = leaf.public_bytes(Encoding.PEM) + self.ca.intermediate.public_bytes(Encoding.PEM)
        self.orders[number] |= {"status": "valid", "certificate": f"{self.url}/certificate/{number}"}


def problem(kind: str, detail: str, status: int = 403, **more: Any) -> Reply:
    """A problem document. kind: as ACME names it, without the prefix."""
    return Reply(status, {"type": f"{PROBLEM}{kind}", "detail": detail, **more})


def _payload(body: Any) -> Any:
    if not isinstance(body, dict) or not body.get("payload"):
        return {}
    return json.loads(base64.urlsafe_b64decode(body["payload"] + "=" * (-len(body["payload"]) % 4)))


class Sink(ContractServer):
    """Something else in the network, which answers all alike. tls: without it, it speaks plain HTTP."""

    name = "Sink"

    def __init__(self, reply: Reply, tls: bool = True) -> None:
        super().__init__(tls=tls)
        self.reply = reply

    def answer(self, call: Call) -> Reply:
        return self.reply
