"""CertificateRequests of users: spec, status, annotations. May raise nothing: what is wrong is the request's problem.

A CSR that is built of a spec (PkiError if it cannot be) is one that the operator would take from a user. A status that
was read is written and read again as the same.
"""

import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.api.parse_request import parse_request
from csr_operator.api.policy import Default, Policy, Rule
from csr_operator.decisions.policy import violations
from csr_operator.decisions.policy_facts import facts_of
from csr_operator.decisions.status import status_body
from csr_operator.pki.csr import build_csr, is_built_from, load_csr
from csr_operator.pki.errors import PkiError
from fuzz.checks import check_message, outcome
from fuzz.parties import KEY

SHAPE = "json"

_POLICY = Policy(Default.DENY, (Rule(name="any"),))


def fuzz(data: bytes) -> None:
    request = parse_request(read_object(data, "CertificateRequest"))
    assert request.name == "www"
    for reason in violations(_POLICY, facts_of(request), "team-a", {}):
        check_message(reason)
    body = status_body(request.status, None)
    json.dumps(body)
    again = parse_request({**read_object(b"{}", "CertificateRequest"), "status": body}).status
    assert status_body(again, None) == body
    if request.problem:
        check_message(request.problem)
    elif not request.spec.csr_pem:
        template = request.spec.template
        csr = outcome(lambda: build_csr(template, KEY), PkiError)
        if csr is not None:
            assert is_built_from(csr, template, KEY)
            assert load_csr(csr.public_bytes(Encoding.PEM)) == csr


def read_object(data: bytes, kind: str) -> dict[str, Any]:
    """An object as the API server sends it: of the metadata it vouches for names, numbers and texts."""
    try:
        # The API server sends no half of a surrogate pair.
        given = json.loads(json.dumps(json.loads(data), ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        given = None
    obj: dict[str, Any] = given if isinstance(given, dict) else {"spec": given}
    metadata = obj.get("metadata")
    return {
        **{name: value for name, value in obj.items() if name in ("spec", "status")},
        "kind": kind,
        "metadata": {
            **(metadata if isinstance(metadata, dict) else {}),
            "namespace": "team-a",
            "name": "www",
            "uid": "0a6ec5a6-7a8e-4f5b-9f3c-1234567890ab",
            "resourceVersion": "17",
        },
    }
