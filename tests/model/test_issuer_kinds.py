"""Not every kind that is watched is one that signs."""

from pathlib import Path
from typing import get_args

import pytest
import yaml

from csr_operator.api.keys import ISSUER_KINDS, IssuerKind, Kind, issuer_key
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from tests.support.manifests import issuer, request

CRD = Path(__file__).parents[2] / "crds" / "csr-operator.dev_certificaterequests.yaml"
METADATA = {"namespace": "n", "name": "ca", "uid": "u", "resourceVersion": "1"}
NO_ISSUER = pytest.mark.parametrize("kind", [*(kind for kind in Kind if kind not in ISSUER_KINDS), "Pod"])


@NO_ISSUER
@pytest.mark.parametrize("refs", ["issuerRef", "issuerRefs"])
def test_a_request_cannot_name_it_as_its_issuer(kind: str, refs: str) -> None:
    ref = {"name": "ca", "kind": kind}
    obj = request("www", "ca")
    del obj["spec"]["issuerRef"]
    parsed = parse_request(
        {**obj, "metadata": METADATA, "spec": {**obj["spec"], refs: [ref] if refs[-1] == "s" else ref}}
    )
    assert parsed.problem == "spec.issuerRef: it cannot be read: write it as `kubectl explain` shows"
    assert parsed.issuers == ()


@NO_ISSUER
def test_a_secret_cannot_name_it_as_its_issuer(kind: str) -> None:
    assert issuer_key("n", f"{kind}/ca") is None


@NO_ISSUER
def test_it_is_not_read_as_an_issuer(kind: str) -> None:
    with pytest.raises(ValueError, match="not in"):
        parse_issuer({**issuer("ca", kind), "metadata": METADATA})


def test_the_api_server_lets_the_same_kinds_through() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    kinds = [ref["properties"]["kind"]["enum"] for ref in (spec["issuerRef"], spec["issuerRefs"]["items"])]
    assert kinds == [list(ISSUER_KINDS)] * 2
    assert get_args(IssuerKind) == ISSUER_KINDS
