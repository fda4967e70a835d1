"""Bodies that the CertCentral Services API takes, as JSON schemas (dev.digicert.com, Services API, "Orders").

Only what is documented for TLS products is there: whatever else is sent is refused.
"""

from typing import Any

STATUSES = (
    *("needs_approval", "pending", "processing", "waiting_pickup", "approved", "reissue_pending"),
    *("issued", "rejected", "canceled", "revoked", "expired"),
)
"""Of an order; the glossary names no order of them other than that of an order's life."""

DCV_METHODS = ("email", "dns-txt-token", "dns-cname-token", "http-token", "http-token-dynamic")
REASONS = ("unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation")

_STRING = {"type": "string", "minLength": 1}
_ID = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"], "additionalProperties": False}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_DAYS = {"type": "integer", "minimum": 1, "maximum": 1095}
_VALIDITY = {**_object(days=_DAYS, years={"enum": [1, 2, 3]}), "minProperties": 1, "maxProperties": 1}
_CERTIFICATE = _object(
    ("common_name", "csr", "signature_hash"),
    common_name={**_STRING, "maxLength": 64},
    dns_names={"type": "array", "items": _STRING},
    csr=_STRING,
    signature_hash={"enum": ["sha256", "sha384", "sha512"]},
    server_platform=_ID,
    ca_cert_id=_STRING,
    cert_validity=_VALIDITY,
)
_CUSTOM_FIELDS = {
    "type": "array",
    "items": _object(("metadata_id", "value"), metadata_id={"type": "integer"}, value={"type": "string"}),
}

ORDER = _object(
    ("certificate", "order_validity"),
    certificate=_CERTIFICATE,
    organization=_ID,
    order_validity=_VALIDITY,
    dcv_method={"enum": list(DCV_METHODS)},
    container=_ID,
    custom_fields=_CUSTOM_FIELDS,
    skip_approval={"type": "boolean"},
    payment_method={"enum": ["balance", "card", "profile"]},
    disable_renewal_notifications={"type": "boolean"},
    alternative_order_id={**_STRING, "maxLength": 64},
    comments={"type": "string"},
    renewal_of_order_id={"type": "integer"},
)
REISSUE = _object(
    ("certificate",),
    certificate=_CERTIFICATE,
    dcv_method={"enum": list(DCV_METHODS)},
    skip_approval={"type": "boolean"},
    comments={"type": "string"},
)
ORDER_STATUS = _object(("status", "note"), status={"enum": ["canceled"]}, note=_STRING)
REQUEST_STATUS = _object(
    ("status",), status={"enum": ["submitted", "pending", "approved", "rejected"]}, processor_comment=_STRING
)
REVOKE = _object(
    comments={"type": "string"}, revocation_reason={"enum": list(REASONS)}, skip_approval={"type": "boolean"}
)
