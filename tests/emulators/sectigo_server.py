"""Sectigo Certificate Manager, emulated from published documents, and not verified by the vendor.

From the "SCM REST API" reference 25.5 (paths, fields, examples, error codes) and the OpenAPI document "Admin
Operations" 25.9.2 (schemas, states, OAuth 2). Where these are silent, it does what is written here:

- An unknown field or a wrong type is -1002, what breaks a limit or a pattern -1601, both with HTTP status 400.
- An order has the common name of its CSR, or else its first alternative name. A public certificate has that as its
  common name, and the organization's own name; a private one has the subject of the CSR.
- A renewal has no comments. A replacement is another order, which ends when the first does; that becomes Replaced
  when the other is issued.
- Lists hold exact matches, the oldest first.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.emulators.sectigo_schema import BODIES, QUERIES, STATES, TOKEN
from tests.support.contract import Call, ContractServer, Refusal, Reply, schema_error
from tests.support.signing import pem

LOGIN, PASSWORD, CUSTOMER = "ada", "correct-horse", "example"
CLIENT_ID, CLIENT_SECRET = "client-1", "battery-staple"
TOKEN_PATH = "/auth/realms/apiclients/protocol/openid-connect/token"
ORGANIZATION, DEPARTMENT, PUBLIC, PRIVATE = 42, 43, 1013, 1014

_ORGANIZATIONS = [
    {
        "id": ORGANIZATION,
        "name": "Example Inc",
        "certTypes": [],
        "departments": [{"id": DEPARTMENT, "name": "Web", "certTypes": ["SSL"]}],
    }
]
_KEYS = {"RSA": ["2048", "3072", "4096"], "EC": ["P-256", "P-384"]}
_PROFILES: Mapping[int, Mapping[str, Any]] = {
    PUBLIC: {"id": PUBLIC, "name": "Public OV SSL", "terms": [90, 199], "keyTypes": _KEYS},
    PRIVATE: {"id": PRIVATE, "name": "Private TLS", "terms": [30, 90, 365], "keyTypes": _KEYS},
}

Step = tuple[str, float]
"""A state, and the seconds after the order was placed when it comes."""


@dataclass(slots=True)
class Validation:
    """Domain control: names below `domains` may be asked for; those below `validated` need no dcvMode."""

    domains: tuple[str, ...] = ("com", "org", "test")
    validated: tuple[str, ...] = ("com", "org", "test")


class SectigoServer(ContractServer):
    """steps: what becomes of the orders placed from now on, other than by `approve`, `decline` and `become`.

    token_life: seconds. mandatory: the names of custom fields that have to be given; "Cost centre" is optional.
    """

    name = "Sectigo"

    def __init__(
        self, journal: Path | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC), tls: bool = True
    ) -> None:
        super().__init__(journal, clock, tls)
        self.steps: Sequence[Step] = (("Requested", 0), ("Applied", 0), ("Issued", 0))
        self.validation = Validation()
        self.token_life = 300.0
        self.mandatory: tuple[str, ...] = ()
        self.lists: Callable[[int], bool] = lambda ssl_id: True  # whether an order is in the lists yet

    @property
    def orders(self) -> dict[int, dict[str, Any]]:
        """All there are, by sslId."""
        return {int(name[4:]): value for name, value in self.journal.items() if name.startswith("ssl/")}

    def become(self, ssl_id: int, state: str) -> None:
        """Whatever its steps say, the order is in this state from now on."""
        assert state in STATES
        order = self.journal[f"ssl/{ssl_id}"]
        self.journal[f"ssl/{ssl_id}"] = {**order, "steps": [[state, 0]]}

    def expire_tokens(self) -> None:
        self.journal["tokens"] = {}

    def answer(self, call: Call) -> Reply:
        if call.path == TOKEN_PATH:
            return self._token(call)
        path = self._allowed(call)
        _check(call, path)
        for method, pattern, handle in self._routes():
            if method == call.method and (match := re.fullmatch(pattern, path)):
                return handle(call, *match.groups())
        raise _refusal(404, -1, "Not found.")

    def _routes(self) -> Sequence[tuple[str, str, Callable[..., Reply]]]:
        return (
            ("GET", r"/organization/v1", lambda call: Reply(body=_ORGANIZATIONS)),
            ("GET", r"/ssl/v1/types", lambda call: Reply(body=list(_PROFILES.values()))),
            ("GET", r"/ssl/v1/customFields", self._custom_fields),
            ("GET", r"/ssl/v1", self._list),
            ("GET", r"/ssl/v1/(\d+)", lambda call, ssl_id: Reply(body=self._details(*self._order(ssl_id)))),
            ("GET", r"/ssl/v1/(\d+)/dcv", self._dcv),
            ("GET", r"/ssl/v1/collect/(\d+)", self._collect),
            ("POST", r"/ssl/v1/enroll", self._enroll),
            ("POST", r"/ssl/v1/renewById/(\d+)", self._renew),
            ("POST", r"/ssl/v1/replace/(\d+)", self._replace),
            ("POST", r"/ssl/v1/approve/(\d+)", self._approve),
            ("POST", r"/ssl/v1/decline/(\d+)", self._decline),
            ("POST", r"/ssl/v1/revoke/serial/([0-9A-Fa-f:]+)", self._revoke_serial),
            ("POST", r"/ssl/v1/revoke/(\d+)", self._revoke),
            ("PUT", r"/ssl/v1", self._update),
        )

    def _token(self, call: Call) -> Reply:
        if error := schema_error(TOKEN, call.body):
            return Reply(400, {"error": "invalid_request", "error_description": error})
        if (call.body["client_id"], call.body["client_secret"]) != (CLIENT_ID, CLIENT_SECRET):
            text = "Invalid client or Invalid client credentials"
            return Reply(401, {"error": "invalid_client", "error_description": text})
        token = secrets.token_urlsafe(24)
        ends = self.clock().timestamp() + self.token_life
        self.journal["tokens"] = {**self.journal.get("tokens", {}), token: ends}
        return Reply(body={"access_token": token, "expires_in": int(self.token_life), "token_type": "Bearer"})

    def _allowed(self, call: Call) -> str:
        """The path below the API's own. The three ways to log in are never mixed."""
        headers = call.headers
        if call.path.startswith("/private/api/"):
            if (call.peer, headers.get("login"), headers.get("customeruri")) != (LOGIN, LOGIN, CUSTOMER):
                raise _refusal(401, -16, "Unknown user")
            return call.path.removeprefix("/private/api")
        if not call.path.startswith("/api/"):
            raise _refusal(404, -1, "Not found.")
        if "authorization" in headers:
            ends = self.journal.get("tokens", {}).get(headers["authorization"].removeprefix("Bearer "), 0)
            if self.clock().timestamp() >= ends:
                raise Refusal(Reply(401, {"error": "invalid_token"}))
        elif (headers.get("login"), headers.get("customeruri")) != (LOGIN, CUSTOMER):
            raise _refusal(401, -16, "Unknown user")
        elif headers.get("password") != PASSWORD:
            raise _refusal(401, -970, "Incorrect login credentials.")
        return call.path.removeprefix("/api")

    def _custom_fields(self, call: Call) -> Reply:
        names = dict.fromkeys((*self.mandatory, "Cost centre"))
        fields = [{"id": i, "name": name, "mandatory": name in self.mandatory} for i, name in enumerate(names, 1)]
        return Reply(body=fields)

    def _list(self, call: Call) -> Reply:
        query, found = call.query, []
        for ssl_id, order in self.orders.items():
            wanted = (
                (query.get("commonName"), order["commonName"]),
                (query.get("orgId"), str(order["orgId"])),
                (query.get("sslTypeId"), str(order["certType"])),
                (query.get("status"), self._state(ssl_id, order)),
                (query.get("serialNumber"), order.get("serialNumber")),
            )
            name = query.get("subjectAlternativeName")
            if not self.lists(ssl_id) or (name is not None and name not in order["names"]):
                continue
            if all(asked is None or asked == value for asked, value in wanted):
                entry = {"sslId": ssl_id, "commonName": order["commonName"], "subjectAlternativeNames": order["names"]}
                found.append({**entry, **({"serialNumber": order["serialNumber"]} if "serialNumber" in order else {})})
        first = int(query.get("position", 0))
        page = found[first : first + int(query.get("size", 200))]
        return Reply(body=page, headers={"X-Total-Count": str(len(found))})

    def _details(self, ssl_id: int, order: Mapping[str, Any]) -> dict[str, Any]:
        state = self._state(ssl_id, order)
        order = self.journal[f"ssl/{ssl_id}"]
        details = {
            "commonName": order["commonName"],
            "sslId": ssl_id,
            "id": ssl_id,
            "orgId": order["orgId"],
            "status": state,
            "backendCertId": str(7000000 + ssl_id),
            "certType": _PROFILES[order["certType"]],
            "term": order["term"],
            "requestedVia": "REST API",
            "comments": order["comments"],
            "requested": _day(order["at"]),
            "renewed": order.get("renewed", False),
            "subjectAlternativeNames": order["names"],
            "customFields": order["customFields"],
        }
        if "ends" in order:
            details |= {"expires": _day(order["ends"]), "serialNumber": order.get("serialNumber")}
        if state == "Replaced":
            details["replaced"] = _day(self.clock().timestamp())
        return details

    def _dcv(self, call: Call, number: str) -> Reply:
        ssl_id, order = self._order(number)
        log, instructions = [], []
        for name in order["names"]:
            done = self._is_validated(name) or self._state(ssl_id, order) == "Issued"
            status = "Validated" if done else "Awaiting Validation"
            log.append({"dcvStatus": status, "domainName": name, "dcvDate": None, "dcvEmailRefNumber": 1})
            one = {"domainName": name, "dcvMode": order["dcvMode"]}
            match order["dcvMode"]:
                case "EMAIL":
                    one["dcvEmail"] = order["dcvEmail"]
                case "HTTP" | "HTTPS":
                    url = f"{order['dcvMode'].lower()}://{name}/.well-known/pki-validation/A1.txt"
                    one |= {"url": url, "file": f"B2\nsectigo.com\n{ssl_id}"}
                case _:
                    one |= {"host": f"_A1.{name}.", "point": f"B2.C{ssl_id}.sectigo.com."}
            instructions.append(one)
        return Reply(
            body={"dcvLog": {"error": {"code": 0, "description": None}, "log": log}, "instructions": instructions}
        )

    def _collect(self, call: Call, number: str) -> Reply:
        ssl_id, order = self._order(number)
        state = self._state(ssl_id, order)
        if state == "Revoked":
            raise _refusal(400, -110, "Certificate has been revoked and cannot be downloaded.")
        if state not in ("Issued", "Expired", "Replaced"):
            raise _refusal(400, -183 if state == "Applied" else -1400, _NOT_YET[state == "Applied"])
        chain = self.journal[f"ssl/{ssl_id}"]["pem"] + pem(self.ca.intermediate) + pem(self.ca.root)
        return Reply(body=chain.encode())

    def _enroll(self, call: Call) -> Reply:
        body = call.body
        if body["orgId"] not in (ORGANIZATION, DEPARTMENT):
            raise _refusal(400, -1023, f"Organization '{body['orgId']}' not found.")
        if body["certType"] not in _PROFILES:
            raise _refusal(400, -111, f"No certificate profile found by id {body['certType']}")
        if body["term"] not in _PROFILES[body["certType"]]["terms"]:
            raise _refusal(400, -36, "The validity period (term) is invalid for this certificate profile.")
        given = {field["name"] for field in body.get("customFields", ())}
        if set(self.mandatory) - given:
            raise _refusal(400, -62, "Missing mandatory custom field!")
        if given - {*self.mandatory, "Cost centre"}:
            raise _refusal(400, -135, "Custom field cannot be found.")
        csr = _csr(body["csr"])
        names = [name.strip() for name in body.get("subjAltNames", "").split(",") if name.strip()]
        return Reply(body={"sslId": self._place(csr, names, body), "renewId": secrets.token_urlsafe(15)})

    def _renew(self, call: Call, number: str) -> Reply:
        ssl_id, before = self._order(number)
        if self._state(ssl_id, before) not in ("Issued", "Expired"):
            raise _refusal(400, -130, f"SSL state is not 'ISSUED': {self._state(ssl_id, before)}")
        kept = {name: before[name] for name in ("orgId", "certType", "term", "customFields")}
        body = {**kept, **call.body, "comments": ""}
        new = self._place(_csr(body.get("csr", before["csr"])), before["names"], body, before["commonName"])
        self.journal[f"ssl/{ssl_id}"] = {**self.journal[f"ssl/{ssl_id}"], "renewed": True}
        return Reply(body={"sslId": new})

    def _replace(self, call: Call, number: str) -> Reply:
        ssl_id, before = self._order(number)
        if self._state(ssl_id, before) != "Issued":
            raise _refusal(400, -130, f"SSL state is not 'ISSUED': {self._state(ssl_id, before)}")
        before = self.journal[f"ssl/{ssl_id}"]
        kept = {name: before[name] for name in ("orgId", "certType", "term", "customFields")}
        names = call.body.get("subjectAlternativeNames", before["names"])
        body = {**kept, **{name: call.body[name] for name in ("dcvMode", "dcvEmail") if name in call.body}}
        new = self._place(_csr(call.body["csr"]), names, body, call.body.get("commonName"))
        self.journal[f"ssl/{new}"] = {**self.journal[f"ssl/{new}"], "ends": before["ends"], "replaces": ssl_id}
        return Reply(204)

    def _place(
        self,
        csr: x509.CertificateSigningRequest,
        names: list[str],
        body: Mapping[str, Any],
        common_name: str | None = None,
    ) -> int:
        found = [str(a.value) for a in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        common_name = common_name or next(iter([*found, *names]), "")
        if not common_name:
            raise _refusal(400, -138, "Invalid CSR.")
        for name in dict.fromkeys([common_name, *names]):
            self._check_name(name, body)
        ssl_id = int(self.journal.get("last", 100)) + 1
        self.journal["last"] = ssl_id
        self.journal[f"ssl/{ssl_id}"] = {
            "at": self.clock().timestamp(),
            "steps": [list(step) for step in self.steps],
            "csr": csr.public_bytes(Encoding.PEM).decode(),
            "commonName": common_name,
            "names": names,
            "comments": "",
            "customFields": [],
            "dcvMode": None,
            "dcvEmail": None,
            **{name: body[name] for name in _KEPT if name in body},
        }
        return ssl_id

    def _check_name(self, name: str, body: Mapping[str, Any]) -> None:
        if _address(name) is not None:
            return
        if not _is_below(name, self.validation.domains):
            raise _refusal(400, -1010, f"Domain '{name}' is not allowed.")
        if not self._is_validated(name) and not body.get("dcvMode"):
            text = f"Domain Control Validation is either incomplete or expired for {name}."
            raise _refusal(400, -107, f"{text} Please complete it before requesting a certificate.")

    def _is_validated(self, name: str) -> bool:
        return _is_below(name, self.validation.validated)

    def _approve(self, call: Call, number: str) -> Reply:
        return self._decided(number, [["Approved", 0], ["Applied", 0], ["Issued", 0]])

    def _decline(self, call: Call, number: str) -> Reply:
        return self._decided(number, [["Declined", 0]])

    def _decided(self, number: str, steps: list[list[Any]]) -> Reply:
        ssl_id, order = self._order(number)
        if (state := self._state(ssl_id, order)) != "Requested":
            raise _refusal(400, -1112, f"Certificate can't be approved cause it has state = {state}")
        self.journal[f"ssl/{ssl_id}"] = {**order, "steps": steps}
        return Reply(204)

    def _revoke_serial(self, call: Call, serial: str) -> Reply:
        for ssl_id, order in self.orders.items():
            self._state(ssl_id, order)
            if (
                self.journal[f"ssl/{ssl_id}"].get("serialNumber", "").replace(":", "")
                == serial.replace(":", "").upper()
            ):
                return self._revoke(call, str(ssl_id))
        raise _refusal(404, -5101, "Certificate not found.")

    def _revoke(self, call: Call, number: str) -> Reply:
        ssl_id, order = self._order(number)
        match self._state(ssl_id, order):
            case "Revoked":
                raise _refusal(400, -159, "Your certificate already revoked")
            case "Issued" | "Replaced":
                order = self.journal[f"ssl/{ssl_id}"]
                self.journal[f"ssl/{ssl_id}"] = {**order, "steps": [["Revoked", 0]], "reason": call.body["reasonCode"]}
                return Reply(204)
        raise _refusal(400, -102, "Only issued certificates could be revoked.")

    def _update(self, call: Call) -> Reply:
        ssl_id, order = self._order(str(call.body["sslId"]))
        changed = {name: call.body[name] for name in ("comments", "customFields") if name in call.body}
        self.journal[f"ssl/{ssl_id}"] = {**order, **changed}
        return Reply(body=self._details(*self._order(str(ssl_id))))

    def _order(self, number: str) -> tuple[int, dict[str, Any]]:
        if (order := self.journal.get(f"ssl/{number}")) is None:
            raise _refusal(404, -124, f"Wrong SSL certificate id {number}.")
        return int(number), order

    def _state(self, ssl_id: int, order: Mapping[str, Any]) -> str:
        """What is issued meanwhile is signed here."""
        now = self.clock().timestamp()
        state = next(str(state) for state, after in reversed(order["steps"]) if order["at"] + after <= now)
        if state in ("Issued", "Revoked", "Expired", "Replaced") and "pem" not in order:
            self._sign(ssl_id, order)
        ends = self.journal[f"ssl/{ssl_id}"].get("ends")
        return "Expired" if state == "Issued" and ends is not None and ends <= now else state

    def _sign(self, ssl_id: int, order: Mapping[str, Any]) -> None:
        csr = x509.load_pem_x509_csr(order["csr"].encode())
        begins = self.clock()
        ends = order.get("ends") or (begins + timedelta(days=order["term"])).timestamp()
        subject = csr.subject if order["certType"] == PRIVATE else _public_subject(order["commonName"])
        names = dict.fromkeys([*order["names"], order["commonName"]])
        leaf = self.ca.sign(
            csr.public_key(),
            subject,
            [_general_name(name) for name in names],
            begins,
            datetime.fromtimestamp(ends, UTC),
        )
        serial = f"{leaf.serial_number:X}"
        serial = serial.zfill(len(serial) + len(serial) % 2)
        serial = ":".join(serial[i : i + 2] for i in range(0, len(serial), 2))
        self.journal[f"ssl/{ssl_id}"] = {**order, "pem": pem(leaf), "serialNumber": serial, "ends": ends}
        if (replaced := order.get("replaces")) is not None:
            self.become(replaced, "Replaced")


_KEPT = ("orgId", "certType", "term", "comments", "customFields", "dcvMode", "dcvEmail")
_NOT_YET = {True: "Certificate is not collectable.", False: "The request is being processed by Sectigo."}


def _check(call: Call, path: str) -> None:
    schema = next((s for (method, p), s in BODIES.items() if method == call.method and re.fullmatch(p, path)), None)
    if (schema is None) != (call.body is None):
        raise _refusal(400, -1002, "Cannot parse message body")
    if schema is not None:
        _check_schema(schema, call.body)
    query = next((s for (method, p), s in QUERIES.items() if method == call.method and re.fullmatch(p, path)), None)
    _check_schema(query or {"type": "object", "maxProperties": 0}, dict(call.query))


def _check_schema(schema: Mapping[str, Any], value: Any) -> None:
    if error := schema_error(schema, value):
        shape = "is not of type" in error or "unexpected" in error or "is a required" in error
        raise _refusal(400, *((-1002, f"Cannot parse message body: {error}") if shape else (-1601, _invalid(error))))


def _invalid(error: str) -> str:
    field, _, why = error.partition(": ")
    return f"Field '{field}' has invalid value. {why}"


def _refusal(status: int, code: int, description: str) -> Refusal:
    return Refusal(Reply(status, {"code": code, "description": description}))


def _csr(text: str) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(text.encode())
    except ValueError:
        raise _refusal(400, -10, "Error while decoding CSR.") from None
    if not csr.is_signature_valid:
        raise _refusal(400, -138, "Invalid CSR.")
    match csr.public_key():
        case rsa.RSAPublicKey() as key if key.key_size >= 2048:
            return csr
        case ec.EllipticCurvePublicKey() as key if key.curve.name in ("secp256r1", "secp384r1"):
            return csr
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            raise _refusal(400, -13, "The CSR uses an unsupported key size!")
    raise _refusal(400, -11, "The CSR uses an unsupported algorithm!")


def _public_subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Inc"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _address(name: str) -> Any:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _is_below(name: str, domains: Sequence[str]) -> bool:
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def _day(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%m/%d/%Y")
