"""What Sectigo Certificate Manager takes, from the "SCM REST API" reference 25.5 and "Admin Operations" 25.9.2.

Of the patterns, that of `csr` is left out: it has no "+", which the examples beside it have.
"""

from collections.abc import Mapping
from typing import Any

STATES = (
    *("Invalid", "Requested", "Approved", "Declined", "Applied", "Issued", "Revoked", "Expired", "Replaced"),
    *("Rejected", "SA Approved", "Init"),
)

_CSR = {"type": "string", "minLength": 1, "maxLength": 32767}
_ID = {"type": "integer", "minimum": 1}
_TEXT = {"type": "string"}
_MESSAGE = {"type": "string", "minLength": 1, "maxLength": 512}
_DCV = {
    "dcvMode": {"enum": ["CNAME", "EMAIL", "HTTP", "HTTPS", "TXT", None]},
    "dcvEmail": {"type": ["string", "null"], "pattern": "^[^@\\s]+@[^@\\s]+$"},
}
_CUSTOM_FIELDS = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "value"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 256},
            "value": {"type": "string", "maxLength": 256},
        },
    },
}


def _object(required: list[str], **properties: Any) -> Mapping[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


_REVOCATION = _object(["reason"], reasonCode={"enum": [0, 1, 3, 4, 5]}, reason=_MESSAGE)

BODIES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("POST", r"/ssl/v1/enroll"): _object(
        ["orgId", "csr", "certType", "term"],
        orgId=_ID,
        csr=_CSR,
        subjAltNames=_TEXT,
        certType=_ID,
        term=_ID,
        comments={"type": "string", "maxLength": 1024},
        externalRequester={"type": "string", "maxLength": 512},
        customFields=_CUSTOM_FIELDS,
        **_DCV,
    ),
    ("POST", r"/ssl/v1/renewById/\d+"): _object([], csr=_CSR, **_DCV),
    ("POST", r"/ssl/v1/replace/\d+"): _object(
        ["csr", "reason"],
        csr=_CSR,
        reason=_MESSAGE,
        commonName={"type": "string", "minLength": 1, "maxLength": 64},
        subjectAlternativeNames={"type": "array", "items": _TEXT},
        **_DCV,
    ),
    ("POST", r"/ssl/v1/revoke/serial/[0-9A-Fa-f:]+"): _REVOCATION,
    ("POST", r"/ssl/v1/revoke/\d+"): _REVOCATION,
    ("POST", r"/ssl/v1/approve/\d+"): _object(["message"], message=_MESSAGE),
    ("POST", r"/ssl/v1/decline/\d+"): _object(["message"], message=_MESSAGE),
    ("PUT", r"/ssl/v1"): _object(
        ["sslId"],
        sslId=_ID,
        term=_ID,
        certTypeId=_ID,
        orgId=_ID,
        commonName=_TEXT,
        csr=_CSR,
        externalRequester=_TEXT,
        comments={"type": "string", "maxLength": 1024},
        subjectAlternativeNames={"type": "array", "items": _TEXT},
        customFields=_CUSTOM_FIELDS,
        autoRenewDetails={"type": "object"},
        suspendNotifications={"type": "boolean"},
        requester=_TEXT,
        requesterAdminId=_ID,
        approverAdminId={"type": "integer", "minimum": -1},
    ),
}
"""By method, and path as a regular expression: a body has to be there for these, and for no other call."""

_NUMBER = {"type": "string", "pattern": r"^\d+$"}
QUERIES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("GET", r"/ssl/v1"): _object(
        [],
        size={"type": "string", "pattern": r"^(\d|[1-9]\d|1\d\d|200)$"},
        position=_NUMBER,
        commonName=_TEXT,
        subjectAlternativeName=_TEXT,
        status={"enum": list(STATES)},
        sslTypeId=_NUMBER,
        vendor=_TEXT,
        orgId=_NUMBER,
        issuer=_TEXT,
        serialNumber={"type": "string", "maxLength": 128},
        requester=_TEXT,
        externalRequester=_TEXT,
        requestedVia=_TEXT,
    ),
    ("GET", r"/ssl/v1/types"): _object([], organizationId=_NUMBER),
    ("GET", r"/ssl/v1/collect/\d+"): _object(
        [],
        format={
            "enum": ["x509", "x509CO", "base64", "bin", "x509IO", "x509IOR", "pem", "pemco", "pemia", "x509R"],
        },
    ),
}

TOKEN = _object(
    ["grant_type", "client_id", "client_secret"],
    grant_type={"const": "client_credentials"},
    client_id=_TEXT,
    client_secret=_TEXT,
    scope=_TEXT,
)
"""The form of RFC 6749, section 4.4.2, with the credentials in it (section 2.3.1)."""
