"""What the states of an order mean, in words, and what the API says of orders."""

from enum import StrEnum
from typing import Any

from csr_operator.plugin.errors import Retryable
from csr_operator.plugin.text import redact

_MOST_NAMES = 1000


class State(StrEnum):
    """Of an order, as `status` in GET /ssl/v1/{sslId}."""

    INIT = "Init"
    REQUESTED = "Requested"
    APPROVED = "Approved"
    SA_APPROVED = "SA Approved"
    APPLIED = "Applied"
    ISSUED = "Issued"
    DECLINED = "Declined"
    REJECTED = "Rejected"
    INVALID = "Invalid"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    REPLACED = "Replaced"


def state_of(status: Any) -> State | None:
    """None if no document knows it. The reference writes "SAApproved", the OpenAPI document "SA Approved"."""
    text = str(status).replace(" ", "").lower()
    return next((state for state in State if state.replace(" ", "").lower() == text), None)


PENDING = {
    State.INIT: "it is being entered",
    State.REQUESTED: "it waits for an administrator of Sectigo Certificate Manager: approve it there",
    State.APPROVED: "it is approved, and being handed to the CA",
    State.SA_APPROVED: "it is approved, and being handed to the CA",
    State.APPLIED: "the CA is working on it",
}
DEAD = {
    State.DECLINED: "an administrator declined it",
    State.REJECTED: "the CA rejected it",
    State.INVALID: "it is invalid",
    State.REVOKED: "it was revoked before it could be collected",
    State.REPLACED: "it was replaced by somebody else",
}

AGAIN = "see in Sectigo Certificate Manager why; change the request, or have `kubectl csr renew` order another one"


def ids_in(listed: Any) -> list[int]:
    """Of the orders in a list. Raises Retryable."""
    try:
        ids = [order["sslId"] for order in listed]
    except (KeyError, TypeError):
        ids = [None]
    if not all(type(ssl_id) is int and 0 < ssl_id < 10**18 for ssl_id in ids):
        raise Retryable("Sectigo's list of orders is not as documented")
    return ids


def dcv_instructions(details: Any) -> str:
    """What GET /ssl/v1/{sslId}/dcv asks for; empty if nothing is left to be done.

    It is an object in the reference, and a list of such in the OpenAPI document.
    """
    parts = [part for part in (details[:5] if isinstance(details, list) else [details]) if isinstance(part, dict)]
    log = [entry for part in parts for entry in _objects(_object(part.get("dcvLog")).get("log"))]
    done = {redact(entry.get("domainName")) for entry in log if str(entry.get("dcvStatus")).lower() == "validated"}
    wanted = [
        instruction
        for part in parts
        for instruction in _objects(part.get("instructions"))
        if redact(instruction.get("domainName")) not in done
    ]
    told = [f"{redact(instruction.get('domainName', ''))}: {_instruction(instruction)}" for instruction in wanted[:5]]
    return "; ".join(told) + (f"; and {len(wanted) - 5} more" if len(wanted) > 5 else "")


def _object(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}


def _objects(listed: Any) -> list[dict[str, Any]]:
    return [entry for entry in listed[:_MOST_NAMES] if isinstance(entry, dict)] if isinstance(listed, list) else []


def _instruction(instruction: Any) -> str:
    def show(name: str) -> str:
        return redact(instruction.get(name, ""))

    if instruction.get("url"):
        return f"serve the text {show('file')} at {show('url')}"
    if instruction.get("dcvEmail"):
        return f"follow the link in the mail to {show('dcvEmail')}"
    return f"add the {show('dcvMode')} record {show('host')} with the value {show('point')}"
