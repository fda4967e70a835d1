"""Whether a CSR may be sent, by what is so at the moment of sending."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from csr_operator.api.keys import ObjectKey
from csr_operator.api.policy import AllowedNames, Policy, Rule
from csr_operator.api.request import CertificateRequest
from csr_operator.control.issuers import Issuers
from csr_operator.control.permission import Permission
from csr_operator.decisions.world import IssuerState
from csr_operator.issuance.backend_calls import GuardedBackend
from csr_operator.issuance.failures import Failed, Overtaken
from csr_operator.kube.namespaces import Namespaces
from tests.control.scene import CA, Scene, make_request

WWW = make_request()
READY = IssuerState(ready=True, message="", version="1", backend="ca")
ONLY_INTERNAL = Policy(rules=(Rule("internal", dns_names=AllowedNames(suffixes=("internal",))),))


class Backend:
    """Told apart by identity alone."""


BACKEND = Backend()


class Known:
    """One issuer."""

    def __init__(self, state: IssuerState | None = READY, backend: Backend = BACKEND) -> None:
        self.state = state
        self.ca = cast(GuardedBackend, CaOf(backend))

    def get(self, key: ObjectKey) -> "Known | None":
        return self if key == CA else None


class CaOf:
    """The issuer's CA."""

    issuer = "Issuer/ca"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend


def csr(name: str) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    return builder.add_extension(names, critical=True).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


async def check(there: CertificateRequest | None, issuers: Any = None, name: str = "www.example.com") -> None:
    scene = Scene()
    if there is not None:
        scene.store.put_request(there)
    permission = Permission(scene.store, cast(Issuers, issuers or Known()), cast(Namespaces, None))
    await permission.check(WWW, cast(GuardedBackend, CaOf(BACKEND)), csr(name))


async def test_what_nothing_forbids_is_sent() -> None:
    await check(WWW)


@pytest.mark.parametrize(
    "change",
    [
        lambda request: None,
        lambda request: replace(request, uid="another"),
        lambda request: replace(request, generation=2),
        lambda request: replace(request, being_deleted=True),
    ],
    ids=["it is gone", "it was made anew", "its spec changed", "it is being deleted"],
)
async def test_a_request_that_changed_meanwhile_is_decided_on_anew(
    change: Callable[[CertificateRequest], CertificateRequest | None],
) -> None:
    with pytest.raises(Overtaken):
        await check(change(WWW))


@pytest.mark.parametrize(
    "issuers", [Known(state=None), Known(backend=Backend())], ids=["is not checked yet", "is another one"]
)
async def test_so_is_one_whose_issuer_did(issuers: Known) -> None:
    with pytest.raises(Overtaken):
        await check(WWW, issuers)


async def test_a_policy_is_about_the_very_csr() -> None:
    issuers = Known(replace(READY, policy=ONLY_INTERNAL))
    with pytest.raises(Failed, match=r"www\.example\.com"):
        await check(WWW, issuers)
    await check(WWW, issuers, name="www.internal")


async def test_without_the_approval_that_is_needed_nothing_is_sent() -> None:
    with pytest.raises(Failed, match="approv"):
        await check(WWW, Known(replace(READY, needs_approval=True)))
