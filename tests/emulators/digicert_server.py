"""CertCentral's Services API v2, emulated from published documents, not verified by the vendor.

Sources: dev.digicert.com, Services API ("Orders", "Certificates", "Requests", "Products", "Organizations", "Rate
limits", "Glossary"); the shapes of answers also from the fixtures of public clients. Where the documents are silent
(the codes of most errors, what a status change is), it does what its tests can least rely on.
"""

import ipaddress
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.emulators import digicert_schema as schema
from tests.support.contract import Call, ContractServer, Refusal, Reply, schema_error
from tests.support.signing import pem

BASE = "/services/v2"
KEY = "N3VER-A-REAL-KEY-OF-CERTCENTRAL"
ORGANIZATION = 117483
CONTAINER = 5
DV, OV, PRIVATE = "ssl_dv_geotrust_flex", "ssl_basic", "private_ssl_flex"
_PRODUCTS = {DV: "GeoTrust DV SSL", OV: "Basic OV", PRIVATE: "Private SSL OV"}
_OPEN = frozenset({"needs_approval", "pending", "processing", "waiting_pickup", "approved", "reissue_pending"})
_GOOD_FOR = 30 * 24 * 3600

Plan = Sequence[tuple[timedelta, str]]
AT_ONCE: Plan = ((timedelta(0), "issued"),)


def after(*steps: tuple[float, str]) -> Plan:
    """The status of an order, each from so many seconds after it was placed."""
    return tuple((timedelta(seconds=seconds), status) for seconds, status in steps)


class DigicertServer(ContractServer):
    """plan: what becomes of orders that are placed from now on; with AT_ONCE the answer has the certificate.

    keys: what is taken for an API key. approvals: orders and revocations wait for an administrator, unless they skip
    it. organizations: names by ID. page: the most that a list has at once. txt: what the DNS has at a name; with it, DV
    orders are issued as soon as their records are there, and not before.
    """

    name = "DigiCert"

    def __init__(
        self,
        journal: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tls: bool = True,
        plan: Plan = AT_ONCE,
    ) -> None:
        super().__init__(journal, clock, tls)
        self.plan = plan
        self.keys = {KEY}
        self.approvals = False
        self.organizations = {ORGANIZATION: "Example Inc."}
        self.page = 1000
        self.txt: Callable[[str], set[str]] | None = None

    # What tests look at, and do as DigiCert's people do.

    @property
    def orders(self) -> list[dict[str, Any]]:
        """All orders, as they are now, the oldest first."""
        return [self._settle(order) for name, order in list(self.journal.items()) if name.startswith("order/")]

    def set_status(self, order_id: int, status: str) -> None:
        order = self._order(order_id)
        order["plan"] = [[self._now(), status]]
        self._save(order)

    def refuse_reissue(self, order_id: int) -> None:
        order = self._order(order_id)
        order["certificates"][-1]["status"] = "rejected"
        self._save(order)
        self.set_status(order_id, "issued")

    def approve(self) -> None:
        """Every request that waits for an administrator."""
        for order in self.orders:
            for request in order["requests"]:
                if request["status"] == "pending":
                    self._decide(request["id"], "approved")

    # What is published.

    def answer(self, call: Call) -> Reply:
        if call.headers.get("x-dc-devkey") not in self.keys:
            raise _refused(401, "access_denied|invalid_api_key", "The API key is invalid, or was revoked.")
        if not call.path.startswith(f"{BASE}/"):
            raise _refused(404, "not_found|route", "The specified route was not found.")
        match [call.method, *call.path.removeprefix(f"{BASE}/").split("/")]:
            case ["GET", "product"]:
                return Reply(body={"products": [{"name_id": i, "name": name} for i, name in _PRODUCTS.items()]})
            case ["GET", "organization"]:
                known = [{"id": i, "name": name, "is_active": True} for i, name in self.organizations.items()]
                page = self._page(len(known), call.query)
                return Reply(body={"organizations": known[page["offset"] :][: page["limit"]], "page": page})
            case ["GET", "container"]:
                return Reply(body={"containers": [{"id": CONTAINER, "name": "Web"}], "page": self._page(1, call.query)})
            case ["GET", "order", "certificate"]:
                return self._list(call.query)
            case ["GET", "order", "certificate", "status-changes"]:
                return self._changes(call.query)
            case ["GET", "order", "alternate", key]:
                same = [_brief(order) for order in self.orders if order["alternative_order_id"] == key]
                return Reply(body={"orders": same, "page": self._page(len(same), call.query)})
            case ["POST", "order", "certificate", product]:
                return self._place(product, _checked(schema.ORDER, call.body))
            case ["GET", "order", "certificate", number]:
                return Reply(body=_info(self._order(number)))
            case ["POST", "order", "certificate", number, "reissue"]:
                return self._reissue(self._order(number), _checked(schema.REISSUE, call.body))
            case ["GET", "order", "certificate", number, "reissue"]:
                reissues = self._order(number)["certificates"][1:]
                return Reply(body={"certificates": [_certificate(one) for one in reissues]})
            case ["PUT", "order", "certificate", number, "status"]:
                return self._cancel(self._order(number), _checked(schema.ORDER_STATUS, call.body))
            case ["PUT", "order", "certificate", number, "check-dcv"]:
                return self._check_dcv(self._order(number))
            case ["PUT", "order", "certificate", number, "dcv-random-value"]:
                return self._random_value(self._order(number))
            case ["PUT", "order", "certificate", number, "revoke"]:
                for one in self._order(number)["certificates"]:
                    self._revoke(one["serial_number"], {"skip_approval": True})
                return Reply(204)
            case ["PUT", "request", number, "status"]:
                return self._decide(int(number), _checked(schema.REQUEST_STATUS, call.body)["status"])
            case ["GET", "certificate", number, "download", "format", "pem_all"]:
                return self._download(number)
            case ["PUT", "certificate", identifier, "revoke"]:
                return self._revoke(identifier, _checked(schema.REVOKE, call.body))
        raise _refused(404, "not_found|route", "The specified route was not found.")

    def _place(self, product: str, body: Mapping[str, Any]) -> Reply:
        if product not in _PRODUCTS:
            raise _refused(400, "invalid_product", f"The product {product} is not available to this account.")
        if product != DV and "organization" not in body:
            raise _refused(400, "missing_param|organization", "The organization is required.")
        if body.get("organization", {}).get("id", ORGANIZATION) != ORGANIZATION:
            raise _refused(404, "not_found|organization", "The organization was not found.")
        wanted, now = body["certificate"], self._now()
        _csr(wanted["csr"])
        if product != PRIVATE and any(_is_address(name) for name in _names(wanted)):
            raise _refused(400, "invalid_dns_name", "An IP address is not allowed in this product.")
        number = self._next("orders", 100_000_000)
        waits = self.approvals and not body.get("skip_approval")
        steps = [[now + delay.total_seconds(), status] for delay, status in self.plan]
        validates = product == DV and body.get("dcv_method", "email") != "email"
        order = {
            "id": number,
            "status": "needs_approval" if waits else "pending",
            "changed": now,
            "plan": [] if waits or (validates and self.txt) else steps,
            "later": steps if waits else [],
            "placed": now,
            "product": product,
            "alternative_order_id": body.get("alternative_order_id", ""),
            "body": body,
            "ends": now + _seconds(body["order_validity"]),
            "drawn": now,
            "random": secrets.token_hex(16) if validates else "",
            "requests": [{"id": self._next("requests", 500_000), "type": "new_request", "status": "pending"}],
            "certificates": [self._new_certificate(wanted)],
        }
        if not waits:
            order["requests"][0]["status"] = "approved"
        order = self._settle(order)
        answer = {"id": number, "requests": [{k: order["requests"][0][k] for k in ("id", "status")}]}
        if order["random"]:
            answer["dcv_random_value"] = order["random"]
        if order["status"] == "issued":
            answer["certificate_id"] = order["certificates"][0]["id"]
            answer["certificate_chain"] = self._chain(order["certificates"][0])
        self._save(order)
        return Reply(201, answer)

    def _reissue(self, order: dict[str, Any], body: Mapping[str, Any]) -> Reply:
        if order["status"] not in ("issued", "reissue_pending"):
            raise _refused(400, "invalid_status|order", "Only issued orders can be reissued.")
        now, wanted = self._now(), body["certificate"]
        _csr(wanted["csr"])
        for one in order["certificates"][1:]:
            if one["status"] == "pending":
                one["status"] = "rejected"  # a newer reissue takes its place
        order["certificates"].append(self._new_certificate(wanted))
        order["requests"].append({"id": self._next("requests", 500_000), "type": "reissue", "status": "approved"})
        order["status"], order["changed"] = "reissue_pending", now
        order["plan"] = [
            [now + delay.total_seconds(), "reissue_pending" if status in _OPEN else status]
            for delay, status in self.plan
        ]
        order = self._settle(order)
        self._save(order)
        answer = {"id": order["id"], "requests": [{"id": order["requests"][-1]["id"], "status": "approved"}]}
        if order["status"] == "issued":
            answer["certificate_id"] = order["certificates"][-1]["id"]
            answer["certificate_chain"] = self._chain(order["certificates"][-1])
        return Reply(201, answer)

    def _cancel(self, order: dict[str, Any], body: Mapping[str, Any]) -> Reply:
        match order["status"]:
            case "pending" | "waiting_pickup":
                order["status"] = "canceled"
            case "reissue_pending":
                order["status"] = "issued"
                order["certificates"][-1]["status"] = "rejected"
            case status:
                raise _refused(400, "invalid_status|order", f"An order that is {status} cannot be canceled.")
        order["plan"], order["changed"] = [], self._now()
        self._save(order)
        return Reply(204)

    def _decide(self, request_id: int, status: str) -> Reply:
        for order in self.orders:
            for request in order["requests"]:
                if request["id"] == request_id and request["status"] == "pending":
                    request["status"] = status
                    if request["type"] == "new_request":
                        order["status"] = "pending" if status == "approved" else "rejected"
                        order["plan"] = order["later"] if status == "approved" else []
                        order["changed"] = self._now()
                    self._save(self._settle(order))
                    return Reply(204)
        raise _refused(404, "not_found|request", "The request was not found.")

    def _check_dcv(self, order: dict[str, Any]) -> Reply:
        names = [name.removeprefix("*.") for name in _names(order["body"]["certificate"])]
        missing = [name for name in names if not self._is_validated(order, name)]
        if missing:
            message = "Could not find a valid TXT record for one or more domains."
            raise _refused(400, "invalid_dns_txt", message)
        return Reply(body={"order_status": order["status"], "dcv_status": "valid"})

    def _random_value(self, order: dict[str, Any]) -> Reply:
        """The one that there is, or another one if that has expired."""
        if not order["random"] or order["status"] not in _OPEN:
            raise _refused(400, "invalid_dcv_method", "The order has no domain control validation by random values.")
        if self._now() - order["drawn"] > _GOOD_FOR:
            order["random"], order["drawn"] = secrets.token_hex(16), self._now()
            self._save(order)
        expires = datetime.fromtimestamp(order["drawn"] + _GOOD_FOR, UTC)
        return Reply(body={"dcv_random_value": order["random"], "expiration_date": expires.isoformat()})

    def _download(self, number: str) -> Reply:
        for order in self.orders:
            for one in order["certificates"]:
                if str(one["id"]) == number and one["pem"]:
                    return Reply(body="".join(link["pem"] for link in self._chain(one)).encode())
        raise _refused(404, "not_found|certificate", "The certificate was not found.")

    def _revoke(self, identifier: str, body: Mapping[str, Any]) -> Reply:
        for order in self.orders:
            for one in order["certificates"]:
                if identifier not in (str(one["id"]), one["serial_number"]) or not one["pem"]:
                    continue
                if order["status"] == "reissue_pending":
                    raise _refused(400, "reissue_pending", "Certificates with a pending reissue cannot be revoked.")
                if one["status"] == "revoked":
                    raise _refused(400, "certificate_already_revoked", "The certificate has already been revoked.")
                if self.approvals and not body.get("skip_approval"):
                    request = {"id": self._next("requests", 500_000), "type": "revoke", "status": "pending"}
                    order["requests"].append(request)
                    self._save(order)
                    return Reply(201, {**request, "date": _text(self._now()), "comments": body.get("comments", "")})
                one["status"], one["reason"] = "revoked", body.get("revocation_reason", "unspecified")
                self._save(order)
                return Reply(204)
        raise _refused(404, "not_found|certificate", "The certificate was not found.")

    def _list(self, query: Mapping[str, str]) -> Reply:
        wanted = {value for name, value in query.items() if name.startswith("filters[status]")}
        found = [order for order in self.orders if not wanted or order["status"] in wanted]
        if serial := query.get("filters[serial_number]"):
            found = [one for one in found if serial in {each["serial_number"] for each in one["certificates"]}]
        page = self._page(len(found), query)
        shown = found[page["offset"] : page["offset"] + page["limit"]]
        return Reply(body={"orders": [{"id": one["id"], "status": one["status"]} for one in shown], "page": page})

    def _changes(self, query: Mapping[str, str]) -> Reply:
        seconds = int(query.get("minutes", 0)) * 60 + int(query.get("seconds", 0))
        if not seconds:
            raise _refused(400, "missing_param|filter", "At least one filter is required.")
        if seconds > 7 * 24 * 3600:
            raise _refused(400, "time_frame_too_long", "The time frame cannot exceed seven days.")
        found = [order for order in self.orders if order["changed"] >= self._now() - seconds]
        page = self._page(len(found), query)
        return Reply(body={"orders": [_brief(one) for one in found[page["offset"] :][: page["limit"]]], "page": page})

    # How an order goes on.

    def _settle(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order as it is now: what its plan has for the time until now has come about."""
        if order["random"] and self.txt and order["status"] == "pending":
            names = [name.removeprefix("*.") for name in _names(order["body"]["certificate"])]
            if all(self._is_validated(order, name) for name in names):
                order["plan"] = [[self._now(), "issued"]]
        due = [step for step in order["plan"] if step[0] <= self._now()]
        if not due:
            return order
        order["plan"] = order["plan"][len(due) :]
        order["changed"], order["status"] = due[-1]
        if order["status"] == "issued" and order["certificates"][-1]["status"] == "pending":
            self._issue(order, order["certificates"][-1])
        self._save(order)
        return order

    def _is_validated(self, order: Mapping[str, Any], name: str) -> bool:
        assert self.txt is not None
        return bool({f"_dnsauth.{name}", name} & {one for one in (f"_dnsauth.{name}", name) if self._has(order, one)})

    def _has(self, order: Mapping[str, Any], name: str) -> bool:
        return self.txt is not None and order["random"] in self.txt(name)

    def _issue(self, order: Mapping[str, Any], one: dict[str, Any]) -> None:
        wanted = one["wanted"]
        begins = datetime.fromtimestamp(order["changed"], UTC)
        asked = begins + timedelta(seconds=_seconds(wanted.get("cert_validity", order["body"]["order_validity"])))
        ends = min(asked, datetime.fromtimestamp(order["ends"], UTC)).replace(hour=23, minute=59, second=59)
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, wanted["common_name"])]
        if order["product"] != DV:
            validated = ((NameOID.ORGANIZATION_NAME, "Example Inc."), (NameOID.LOCALITY_NAME, "Lehi"))
            subject[:0] = [x509.NameAttribute(oid, value) for oid, value in validated]
        names = [
            x509.IPAddress(ipaddress.ip_address(name)) if _is_address(name) else x509.DNSName(name)
            for name in _names(wanted)
        ]
        key = _csr(wanted["csr"]).public_key()
        leaf = self.ca.sign(key, x509.Name(subject), names, begins.replace(microsecond=0), ends)
        digits = f"{leaf.serial_number:X}"
        one.update(status="issued", pem=pem(leaf), serial_number=digits.zfill(len(digits) + len(digits) % 2))
        one.update(valid_from=f"{begins:%Y-%m-%d}", valid_till=f"{ends:%Y-%m-%d}")

    def _new_certificate(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        number = self._next("certificates", 700_000_000)
        return {"id": number, "status": "pending", "pem": "", "serial_number": "", "wanted": wanted}

    def _chain(self, one: Mapping[str, Any]) -> list[dict[str, str]]:
        above = (self.ca.intermediate, self.ca.root)
        return [
            {"subject_common_name": one["wanted"]["common_name"], "pem": one["pem"].replace("\n", "\r\n")},
            *({"subject_common_name": _common_name(ca), "pem": pem(ca).replace("\n", "\r\n")} for ca in above),
        ]

    def _page(self, total: int, query: Mapping[str, str]) -> dict[str, int]:
        limit = min(int(query.get("limit", self.page)), self.page)
        return {"total": total, "limit": limit, "offset": int(query.get("offset", 0))}

    def _order(self, number: int | str) -> dict[str, Any]:
        order = self.journal.get(f"order/{number}")
        if order is None:
            raise _refused(404, "not_found|order", "The order was not found.")
        return self._settle(order)

    def _save(self, order: Mapping[str, Any]) -> None:
        self.journal[f"order/{order['id']}"] = order

    def _next(self, counter: str, first: int) -> int:
        self.journal[counter] = self.journal.get(counter, first) + 1
        return int(self.journal[counter])

    def _now(self) -> float:
        return self.clock().timestamp()


def _refused(status: int, code: str, message: str) -> Refusal:
    return Refusal(Reply(status, {"errors": [{"code": code, "message": message}]}))


def _checked(wanted: Mapping[str, Any], body: Any) -> Mapping[str, Any]:
    if error := schema_error(wanted, body):
        raise _refused(400, "invalid_parameter", error)
    found: Mapping[str, Any] = body
    return found


def _csr(text: str) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(text.encode())
    except ValueError:
        raise _refused(400, "invalid_csr", "The CSR could not be parsed.") from None
    csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return csr


def _names(wanted: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([wanted["common_name"], *wanted.get("dns_names", ())]))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _seconds(validity: Mapping[str, int]) -> float:
    return math.ceil(validity.get("days", 0) + 365 * validity.get("years", 0)) * 24 * 3600


def _brief(order: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "order_id": order["id"],
        "certificate_id": order["certificates"][-1]["id"],
        "status": order["status"],
    }


def _info(order: Mapping[str, Any]) -> dict[str, Any]:
    issued = [one for one in order["certificates"] if one["pem"]]
    return {
        "id": order["id"],
        "status": order["status"],
        "certificate": _certificate(issued[-1] if issued else order["certificates"][0]),
        "date_created": _text(order["placed"]),
        "order_valid_till": f"{datetime.fromtimestamp(order['ends'], UTC):%Y-%m-%d}",
        "product": {"name_id": order["product"], "name": _PRODUCTS[order["product"]], "type": "ssl_certificate"},
        "requests": order["requests"],
        "alternative_order_id": order["alternative_order_id"],
    }


def _certificate(one: Mapping[str, Any]) -> dict[str, Any]:
    wanted = one["wanted"]
    shown = {"id": one["id"], "common_name": wanted["common_name"], "csr": wanted["csr"], "status": one["status"]}
    shown["dns_names"] = wanted.get("dns_names", [])
    if one["pem"]:
        shown |= {name: one[name] for name in ("serial_number", "valid_from", "valid_till")}
    return shown


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
