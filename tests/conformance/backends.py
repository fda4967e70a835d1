"""The backends that the suite is run for: a later one is one more entry of BACKENDS."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.cases import Feature
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer, root_and_ca

EVERYTHING = frozenset(Feature)


@dataclass(frozen=True, slots=True)
class BackendUnderTest:
    """install: apply the issuer in kubectl's namespace, and whatever it needs; returns its name.

    features: what the CA behind it can do. What it lacks is not asked of it, and shown so in the matrix.
    """

    name: str
    install: Callable[[Kubectl], str]
    features: frozenset[Feature] = EVERYTHING


def _self_signed(kubectl: Kubectl) -> str:
    kubectl.apply(issuer("own"))
    return "own"


def _ca(kubectl: Kubectl) -> str:
    kubectl.apply(*root_and_ca())
    return "ca"


BACKENDS = (
    # Signs with the key of the certificate, which it does not have for somebody else's CSR.
    BackendUnderTest("selfSigned", _self_signed, EVERYTHING - {Feature.USERS_CSR}),
    BackendUnderTest("ca", _ca),
)
