"""DigiCert ONE's Trust Lifecycle Manager, emulated from published documents, not verified by the vendor.

Source: the OpenAPI document "Enterprise PKI Manager REST API" 1.0.0 (`/mpki/api/v1`), and dev.digicert.com, "Error
handling & rate limits". The schema of `attributes` there contradicts its own example, which is followed.
"""

import base64
import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.emulators.digicert_server import KEY
from tests.support.contract import Call, ContractServer, Refusal, Reply, schema_error
from tests.support.signing import pem

BASE = "/mpki/api/v1"
_STRING = {"type": "string"}
_LIST = {"type": "array", "items": {"type": "string"}}
_UNITS = {"years": 365 * 86400, "months": 30 * 86400, "days": 86400, "hours": 3600, "minutes": 60}
_SUBJECT = {
    "common_name": NameOID.COMMON_NAME,
    "organization_name": NameOID.ORGANIZATION_NAME,
    "country": NameOID.COUNTRY_NAME,
    "state": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "postal_code": NameOID.POSTAL_CODE,
    "serial_number": NameOID.SERIAL_NUMBER,
    "email": NameOID.EMAIL_ADDRESS,
    "organization_units": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "street_address": NameOID.STREET_ADDRESS,
    "domain_component": NameOID.DOMAIN_COMPONENT,
}
_LISTS = ("organization_units", "street_address", "domain_component", "unstructured_name", "description")
_REASONS = (
    *("unspecified", "key_compromise", "ca_compromise", "affiliation_changed", "superseded"),
    *("cessation_of_operation", "certificate_hold", "remove_from_crl", "privilege_withdrawn", "aa_compromise"),
)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


ISSUE = {
    **_object(
        profile={**_object(id={"type": "string", "pattern": "^[0-9a-f-]{36}$"}), "required": ["id"]},
        seat={**_object(seat_id={"type": "string", "minLength": 1}), "required": ["seat_id"]},
        csr=_STRING,
        validity=_object(unit={"enum": list(_UNITS)}, duration={"type": "integer", "minimum": 1}),
        delivery_format={"enum": ["x509", "PKCS7"]},
        include_ca_chain={"type": "boolean"},
        attributes=_object(
            subject=_object(**{name: _LIST if name in _LISTS else _STRING for name in (*_SUBJECT, *_LISTS)}),
            extensions=_object(
                san=_object(
                    emails=_LIST,
                    uris=_LIST,
                    dns_names=_LIST,
                    user_principal_names=_LIST,
                    ip_addresses=_LIST,
                    registered_ids=_LIST,
                    critical={"type": "boolean"},
                )
            ),
        ),
    ),
    "required": ["profile", "seat", "csr"],
}
REVOKE = _object(revocation_reason={"enum": list(_REASONS)})


class DigicertOneServer(ContractServer):
    """keys: what is taken for an API key. profiles: by ID, as `GET profile` shows them."""

    name = "DigiCert ONE"
    PROFILE: ClassVar[str] = "36f011b7-5fa1-4c6d-83f3-ee59c4d54bb0"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keys = {KEY}
        self.profiles: dict[str, dict[str, Any]] = {
            self.PROFILE: {
                "id": self.PROFILE,
                "name": "Web servers",
                "status": "Active",
                "enrollment_method": "rest_api",
                "authentication_method": "third_party_app",
                "override_cert_validity_via_api": True,
                "certificate": {
                    "validity": {"unit": "days", "duration": 365},
                    "issuer": {
                        "certificate": pem(self.ca.intermediate),
                        "root": False,
                        "chain": [{"certificate": pem(self.ca.root), "root": True}],
                    },
                },
            }
        }

    @property
    def certificates(self) -> list[dict[str, Any]]:
        """All that was issued, the oldest first."""
        return [dict(one) for name, one in list(self.journal.items()) if name.startswith("certificate/")]

    def answer(self, call: Call) -> Reply:
        if call.headers.get("x-api-key") not in self.keys:
            raise _refused(401, "invalid_api_key", "The API key is not valid.")
        match [call.method, *call.path.removeprefix(f"{BASE}/").split("/")]:
            case ["GET", "profile"]:
                shown = ("id", "name", "status", "enrollment_method", "authentication_method")
                return Reply(body=[{name: one[name] for name in shown} for one in self.profiles.values()])
            case ["GET", "profile", identifier]:
                if identifier not in self.profiles:
                    raise _refused(404, "resource_not_found", "Profile not found.")
                return Reply(body=self.profiles[identifier])
            case ["POST", "certificate"]:
                return self._issue(_checked(ISSUE, call.body))
            case ["GET", "certificate-search"]:
                return self._search(call.query)
            case ["GET", "certificate", serial]:
                return Reply(body=_details(self._certificate(serial)))
            case ["PUT", "certificate", serial, "revoke"]:
                return self._revoke(self._certificate(serial), _checked(REVOKE, call.body), call.query)
        raise _refused(404, "resource_not_found", "Resource not found.")

    def _issue(self, body: Mapping[str, Any]) -> Reply:
        profile = self.profiles.get(body["profile"]["id"])
        if profile is None or profile["status"] != "Active":
            raise _refused(400, "invalid_request", "The profile does not exist or is not active.")
        if "validity" in body and not profile["override_cert_validity_via_api"]:
            raise _refused(400, "invalid_request", "The profile's validity cannot be overridden.")
        try:
            csr = x509.load_pem_x509_csr(body["csr"].encode())
        except ValueError:
            raise _refused(400, "invalid_request", "The CSR cannot be parsed.") from None
        attributes = body.get("attributes", {})
        now = self.clock().replace(microsecond=0)
        validity = body.get("validity", profile["certificate"]["validity"])
        ends = now + timedelta(seconds=_UNITS[validity["unit"]] * validity["duration"])
        names = _names(attributes.get("extensions", {}).get("san", {}))
        leaf = self.ca.sign(csr.public_key(), _subject(attributes.get("subject", {})), names, now, ends)
        digits = f"{leaf.serial_number:X}"
        serial = digits.zfill(len(digits) + len(digits) % 2)
        self.journal[f"certificate/{serial}"] = {
            "serial_number": serial,
            "pem": pem(leaf),
            "profile": profile["id"],
            "seat": body["seat"]["seat_id"],
            "status": "issued",
        }
        chain = pem(self.ca.intermediate) + pem(self.ca.root) if body.get("include_ca_chain") else ""
        answer = {"serial_number": serial, "delivery_format": "x509", "certificate": pem(leaf) + chain}
        return Reply(201, answer)

    def _search(self, query: Mapping[str, str]) -> Reply:
        found = [
            one
            for one in self.certificates
            if query.get("seat_id", one["seat"]) == one["seat"]
            and query.get("profile_id", one["profile"]) == one["profile"]
            and query.get("status", one["status"].upper()) == one["status"].upper()
        ]
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 20))
        items = [_details(one) for one in found[offset : offset + limit]]
        return Reply(body={"total": len(found), "offset": offset, "limit": limit, "items": items})

    def _revoke(self, one: dict[str, Any], body: Mapping[str, Any], query: Mapping[str, str]) -> Reply:
        thumbprint = x509.load_pem_x509_certificate(one["pem"].encode()).fingerprint(SHA256()).hex().upper()
        if query.get("thumbprint_sha256", thumbprint) != thumbprint:
            raise _refused(404, "resource_not_found", "Certificate not found.")
        if one["status"] == "revoked":
            raise _refused(422, "invalid_request", "The certificate cannot be revoked in its present status.")
        self.journal[f"certificate/{one['serial_number']}"] = {
            **one,
            "status": "revoked",
            "reason": body.get("revocation_reason", "unspecified"),
        }
        return Reply(204)

    def _certificate(self, serial: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.journal.get(f"certificate/{serial}")
        if found is None:
            raise _refused(404, "resource_not_found", "Certificate not found.")
        return found


def _refused(status: int, code: str, message: str) -> Refusal:
    return Refusal(Reply(status, {"error": {"code": code, "message": message}}))


def _checked(wanted: Mapping[str, Any], body: Any) -> Mapping[str, Any]:
    if error := schema_error(wanted, body):
        raise _refused(400, "invalid_request", error)
    found: Mapping[str, Any] = body
    return found


def _details(one: Mapping[str, Any]) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(one["pem"].encode())
    return {
        "profile": {"id": one["profile"]},
        "seat": {"seat_id": one["seat"]},
        "certificate": base64.b64encode(certificate.public_bytes(Encoding.DER)).decode(),
        "status": one["status"],
        "serial_number": one["serial_number"],
        "valid_to": datetime.strftime(certificate.not_valid_after_utc.astimezone(UTC), "%Y-%m-%d"),
    }


def _subject(given: Mapping[str, Any]) -> x509.Name:
    attributes = []
    for name, oid in _SUBJECT.items():
        values = given.get(name, [])
        attributes += [x509.NameAttribute(oid, value) for value in ([values] if isinstance(values, str) else values)]
    return x509.Name(attributes)


def _names(given: Mapping[str, Any]) -> list[x509.GeneralName]:
    return [
        *map(x509.DNSName, given.get("dns_names", ())),
        *(x509.IPAddress(ipaddress.ip_address(text)) for text in given.get("ip_addresses", ())),
        *map(x509.RFC822Name, given.get("emails", ())),
        *map(x509.UniformResourceIdentifier, given.get("uris", ())),
    ]
