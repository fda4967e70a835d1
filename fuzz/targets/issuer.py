"""Issuers of users: spec, status. May raise nothing: what is wrong is the issuer's problem.

Its policy, if there is one that can be read, is one by which a request is judged.
"""

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.decisions.policy import violations
from csr_operator.decisions.policy_facts import facts_of
from fuzz.checks import check_message
from fuzz.targets.request import read_object

SHAPE = "json"

_REQUEST = parse_request(
    {
        **read_object(b"{}", "CertificateRequest"),
        "spec": {
            "secretName": "www",
            "issuerRef": {"name": "ca"},
            "commonName": "www.example.com",
            "subject": {"organizations": ["Org"], "countries": ["DE"]},
            "dnsNames": ["www.example.com", "*.example.com", "xn--bcher-kva.example"],
            "ipAddresses": ["10.0.0.1", "2001:db8::1"],
            "uris": ["spiffe://example.com/a"],
            "emailAddresses": ["a@example.com"],
            "otherNames": [{"oid": "1.2.3", "utf8Value": "x"}],
            "usages": ["server auth", "1.2.3"],
        },
    }
)
_FACTS = facts_of(_REQUEST)


def fuzz(data: bytes) -> None:
    issuer = parse_issuer(read_object(data, "Issuer"))
    assert issuer.name == "www"
    if issuer.problem:
        check_message(issuer.problem)
        assert not issuer.backend
    if issuer.policy is not None:
        for reason in violations(issuer.policy, _FACTS, "team-a", {"a": "b"}):
            check_message(reason)
