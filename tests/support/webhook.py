"""A webhook for DNS records, as docs/dns.md tells users to write one."""

from tests.support.bind import Bind
from tests.support.contract import Call, ContractServer, Reply


class Webhook(ContractServer):
    """Writes into BIND."""

    name = "Webhook"

    def __init__(self, server: Bind) -> None:
        super().__init__()
        self._server = server

    def answer(self, call: Call) -> Reply:
        assert call.method == "POST"
        assert set(call.body) == {"name", "value", "zone"}
        assert call.body["name"].endswith("." + call.body["zone"])
        there = call.body["value"] in self._server.records(call.body["name"])
        if call.path == "/dns/present" and not there:
            self._server.add(call.body["name"], "TXT", call.body["value"])
        if call.path == "/dns/cleanup" and there:
            self._server.remove(call.body["name"], "TXT", call.body["value"])
        return Reply(204)
