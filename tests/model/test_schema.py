"""`crds/` and the parsers of `api/` say the same: every field of the schema is read, and no other field is."""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from tests.crds.schema import read_yaml

CRDS = Path(__file__).parents[2] / "crds"


def schema(plural: str) -> dict[str, Any]:
    crd = read_yaml((CRDS / f"csr-operator.dev_{plural}.yaml").read_text())
    return dict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"])


CSR = build_csr(CsrTemplate(Names("www.example.com"), Profile()), generate(KeyParameters()))
SAMPLES = {
    "request": CSR.public_bytes(Encoding.PEM).decode(),
    "duration": "1h",
    "renewBefore": "1h",
    "value": "BQA=",
    "oid": "1.2.3",
    "usages": "server auth",
    "maxDuration": "1h",
    "networks": "10.0.0.0/8",
    "extensions": "1.2.3",
    "uris.exact": "urn:x",
    "emailAddresses.exact": "x@x",
}


def sample(field: dict[str, Any], name: str = "", parent: str = "") -> Any:
    """A value in which every property that the schema knows is present."""
    if "properties" in field:
        return {k: sample(v, k, name) for k, v in field["properties"].items()}
    if "additionalProperties" in field:
        return {"key": "value"}
    if field["type"] == "array":
        return [sample(field["items"], name, parent)]
    if "enum" in field:
        return field["enum"][0]
    text = SAMPLES.get(f"{parent}.{name}", SAMPLES.get(name, "x"))
    number = min(2048, field.get("maximum", 2048))
    return {"string": text, "integer": number, "boolean": True, "object": {}}[field["type"]]


def paths(field: dict[str, Any], prefix: str) -> Iterator[str]:
    """Every property, by its path; one with a single possible value has nothing to say."""
    field = field.get("items", field)
    for name, part in field.get("properties", {}).items():
        if len(part.get("enum", ("several", "values"))) > 1:
            yield f"{prefix}.{name}"
        yield from paths(part, f"{prefix}.{name}")


class Recording(dict[str, Any]):
    """A mapping that notes which keys are asked for."""

    def __init__(self, value: Mapping[str, Any], prefix: str, asked: set[str]) -> None:
        super().__init__({k: wrap(v, f"{prefix}.{k}", asked) for k, v in value.items()})
        self._prefix, self._asked = prefix, asked

    def __getitem__(self, key: str) -> Any:
        self._asked.add(f"{self._prefix}.{key}")
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(f"{self._prefix}.{key}")
        return super().get(key, default)


def wrap(value: Any, prefix: str, asked: set[str]) -> Any:
    if isinstance(value, dict):
        return Recording(value, prefix, asked)
    return [wrap(v, prefix, asked) for v in value] if isinstance(value, list) else value


METADATA = {
    "namespace": "n",
    "name": "x",
    "uid": "u",
    "resourceVersion": "1",
    "generation": 1,
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def test_every_field_of_a_request_is_read_and_no_other() -> None:
    properties = schema("certificaterequests")
    asked: set[str] = set()
    request = parse_request(
        {
            "metadata": METADATA,
            "spec": wrap(sample(properties["spec"]), "spec", asked),
            "status": wrap(sample(properties["status"]), "status", asked),
        }
    )
    assert not request.problem
    known = {*paths(properties["spec"], "spec"), *paths(properties["status"], "status")}
    assert asked == known


@pytest.mark.parametrize(("plural", "kind"), [("issuers", "Issuer"), ("clusterissuers", "ClusterIssuer")])
def test_each_backend_of_an_issuer_schema_is_an_installed_one(plural: str, kind: str) -> None:
    properties = schema(plural)["spec"]["properties"]
    backends = properties.keys() - {"policy", "approval", "limits", "external"}
    own = {e.name for e in entry_points(group="csr_operator.backends") if e.dist and e.dist.name == "csr-operator"}
    assert backends == own, "`make setup` registers what pyproject.toml has"
    for backend in backends:
        issuer = parse_issuer({"kind": kind, "metadata": METADATA, "spec": {backend: sample(properties[backend])}})
        assert not issuer.problem
        assert issuer.backend == backend


def test_a_backend_of_a_third_party_is_named_with_what_it_is_told() -> None:
    config = {"url": "https://ca.example", "deep": {"er": [1]}}
    spec = {"external": {"name": "example.com-ca", "config": config}}
    issuer = parse_issuer({"kind": "Issuer", "metadata": METADATA, "spec": spec})
    assert (issuer.backend, issuer.config, issuer.problem) == ("example.com-ca", config, "")
    without = parse_issuer({"kind": "Issuer", "metadata": METADATA, "spec": {"external": {"name": "x"}}})
    assert (without.backend, without.config) == ("x", {})


@pytest.mark.parametrize(("plural", "kind"), [("issuers", "Issuer"), ("clusterissuers", "ClusterIssuer")])
def test_every_field_of_an_issuer_is_read_and_no_other(plural: str, kind: str) -> None:
    spec = schema(plural)["spec"]
    spec["properties"] = {
        k: v for k, v in spec["properties"].items() if k in ("external", "policy", "approval", "limits")
    }
    asked: set[str] = set()
    issuer = parse_issuer({"kind": kind, "metadata": METADATA, "spec": wrap(sample(spec), "spec", asked)})
    assert not issuer.problem
    assert asked == set(paths(spec, "spec"))
