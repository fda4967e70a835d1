"""acme-dns: a contract server, written from the API that https://github.com/joohoi/acme-dns documents.

It is emulated from a published document, and not verified by the makers of acme-dns, as no registry has their program.
What it is told goes into a zone of BIND.
"""

import json
import uuid
from typing import Any

from tests.support.bind import Bind
from tests.support.contract import Call, ContractServer, Refusal, Reply


class AcmeDnsServer(ContractServer):
    """Of each account it keeps the two newest values, as acme-dns does. zone: that of `server` they are in."""

    name = "acme-dns"

    def __init__(self, server: Bind, zone: str) -> None:
        super().__init__()
        self._server, self._zone = server, zone

    def register(self) -> dict[str, Any]:
        """A new account, as /register answers."""
        subdomain = str(uuid.uuid4())
        account = {
            "username": str(uuid.uuid4()),
            "password": uuid.uuid4().hex + "01234567",
            "fulldomain": f"{subdomain}.{self._zone}",
            "subdomain": subdomain,
            "allowfrom": [],
        }
        self.journal[subdomain] = {**account, "values": []}
        return account

    def answer(self, call: Call) -> Reply:
        if (call.method, call.path) == ("POST", "/register"):
            return Reply(201, self.register())
        if (call.method, call.path) != ("POST", "/update"):
            return Reply(404, b"404 page not found\n")
        account = self._authorized(call)
        value = call.body.get("txt")
        if not isinstance(value, str) or len(value) != 43:
            return Reply(400, {"error": "bad_txt"})
        # The older one of two goes.
        values = [*account["values"], value][-2:]
        self.journal[account["subdomain"]] = {**account, "values": values}
        self._server.remove(account["fulldomain"], "TXT")
        for each in values:
            self._server.add(account["fulldomain"], "TXT", each)
        return Reply(200, json.dumps({"txt": value}).encode())

    def _authorized(self, call: Call) -> Any:
        sent = (call.headers.get("x-api-user"), call.headers.get("x-api-key"))
        account = self.journal.get(str(call.body.get("subdomain")))
        if account is None or sent != (account["username"], account["password"]):
            raise Refusal(Reply(401, {"error": "forbidden"}))
        return account
