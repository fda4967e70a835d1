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
        found = [one["sslId"] for one in listed]
    except (KeyError, TypeError):
        found = [None]
    if not all(type(one) is int and 0 < one < 10**18 for one in found):
        raise Retryable("Sectigo's list of orders is not as documented")
    return found


def dcv_instructions(details: Any) -> str:
    """What GET /ssl/v1/{sslId}/dcv asks for; empty if nothing is left to be done.

    It is an object in the reference, and a list of such in the OpenAPI document.
    """
    parts = [part for part in (details[:5] if isinstance(details, list) else [details]) if isinstance(part, dict)]
    log = [one for part in parts for one in _objects(_object(part.get("dcvLog")).get("log"))]
    done = {redact(one.get("domainName")) for one in log if str(one.get("dcvStatus")).lower() == "validated"}
    wanted = [
        one for part in parts for one in _objects(part.get("instructions")) if redact(one.get("domainName")) not in done
    ]
    told = [f"{redact(one.get('domainName', ''))}: {_instruction(one)}" for one in wanted[:5]]
    return "; ".join(told) + (f"; and {len(wanted) - 5} more" if len(wanted) > 5 else "")


def _object(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {}


def _objects(listed: Any) -> list[dict[str, Any]]:
    return [one for one in listed[:_MOST_NAMES] if isinstance(one, dict)] if isinstance(listed, list) else []


def _instruction(one: Any) -> str:
    def show(name: str) -> str:
        return redact(one.get(name, ""))

    if one.get("url"):
        return f"serve the text {show('file')} at {show('url')}"
    if one.get("dcvEmail"):
        return f"follow the link in the mail to {show('dcvEmail')}"
    return f"add the {show('dcvMode')} record {show('host')} with the value {show('point')}"
