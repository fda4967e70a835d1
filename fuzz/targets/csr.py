"""Certificate signing requests of users. May raise PkiError.

A request that is accepted is one for the library too. One in which a policy finds nothing has no name but those that
the policy lists; our own CA signs it or says why not (PkiError), and what it signs is what was asked for.
"""

import datetime
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csr_operator.api.parse_request import parse_request
from csr_operator.api.policy import AllowedNames, Default, Namespaces, Policy, Rule
from csr_operator.decisions.policy import violations
from csr_operator.decisions.policy_facts import facts_of, facts_of_csr
from csr_operator.pki import constraints
from csr_operator.pki.authority import sign
from csr_operator.pki.csr import csr_digest, load_csr, profile_of, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import accepted
from fuzz.checks import outcome
from fuzz.parties import CA, NOW, sign_csr
from fuzz.pem_text import unwrap

SHAPE = "der"

_NAMES = AllowedNames(frozenset(), ("example.com",), True)
_POLICY = Policy(Default.DENY, (Rule(name="r", namespaces=Namespaces(), common_names=_NAMES, dns_names=_NAMES),))


def fuzz(data: bytes) -> None:
    _look_into(data)
    with suppress(PkiError):  # there is nothing to sign
        _look_into(sign_csr(unwrap(data)))


def _look_into(data: bytes) -> None:
    csr = outcome(lambda: load_csr(data), PkiError)
    if csr is None:
        return
    assert csr.is_signature_valid
    text = csr.public_bytes(Encoding.PEM).decode()
    assert load_csr(text.encode()) == csr
    assert len(csr_digest(text)) == 32
    outcome(lambda: profile_of(csr), PkiError)
    profile = outcome(lambda: profile_with(csr, Profile()), PkiError)
    request = parse_request(_request(text))
    assert bool(request.problem) == (profile is None), request.problem
    facts_of(request)
    if profile is None:
        return
    if not violations(_POLICY, facts_of_csr(csr, request), "team-a", {}):
        _check_names(csr)
    certificate = outcome(lambda: sign(CA, csr, profile, not_before=NOW, not_after=NOW + _LIFE), PkiError)
    if certificate is not None and not constraints.check((certificate, *CA.certificates)):
        accepted(csr, [certificate, *CA.certificates], profile, now=NOW, roots=[CA.certificate])


_LIFE = datetime.timedelta(days=1)


def _request(csr: str) -> dict[str, Any]:
    return {
        "kind": "CertificateRequest",
        "metadata": {"namespace": "team-a", "name": "www", "uid": "1", "resourceVersion": "2"},
        "spec": {"secretName": "www", "issuerRef": {"name": "ca"}, "request": csr},
    }


def _check_names(csr: x509.CertificateSigningRequest) -> None:
    """All are below example.com, as the library reads them."""
    names: Iterable[x509.GeneralName] = ()
    for extension in csr.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = extension.value
    for name in names:
        assert isinstance(name, x509.DNSName), f"a policy for DNS names lets {name!r} pass"
        assert _is_below(name.value), f"a policy lets {name!r} pass"
    for attribute in csr.subject:
        assert attribute.oid == NameOID.COMMON_NAME, f"a policy for common names lets {attribute!r} pass"
        assert _is_below(str(attribute.value)), f"a policy lets {attribute!r} pass"


def _is_below(name: str) -> bool:
    return f".{name.lower()}".endswith(".example.com")
