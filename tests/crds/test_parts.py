"""The definitions of the issuers are made from their parts, and of both kinds alike."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from crds.generate import FOLDERS, NAMESPACES, destination, render
from csr_operator.dns.providers import _KINDS
from tests.crds.schema import read_yaml

KINDS = pytest.mark.parametrize("kind", NAMESPACES)
RULES = "x-kubernetes-validations"
ROUTES = ("acme", "solvers", "http01")
"""Where an Ingress is made is told of field by field."""

A_CA = """
order: 99
offer: '"mint:" (a CA of your own)'
fields:
  mint:
    type: object
    description: A CA.
    properties:
      secretName:
        $part: secretName
        description: A Secret in ${namespace} with a token.
"""
A_PROVIDER = """
order: 99
fields:
  pigeon:
    type: object
    description: A pigeon.
    properties:
      secretName:
        $part: secretName
"""
NOT_A_SECRET = (
    "is not a valid Secret name; use lower-case letters, digits, hyphens and dots, with a letter or digit at both ends "
    "of each part"
)


made = lru_cache(render)
"""The definition of a kind, made once: it takes half a second."""


def spec(text: str) -> dict[str, Any]:
    (version,) = read_yaml(text)["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@KINDS
def test_the_file_is_what_the_parts_make(kind: str) -> None:
    """If not: `make crds`."""
    assert destination(kind).read_text() == made(kind)


@pytest.mark.slow("makes all definitions for each case, for seconds")
@KINDS
@pytest.mark.parametrize("file", ["mint.yaml", "mint/schema.yaml"])
def test_a_ca_is_one_more_file(kind: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(A_CA)
    before, after = spec(made(kind)), spec(render(kind, {**FOLDERS, "backends": [*FOLDERS["backends"], tmp_path]}))

    name = after["properties"].pop("mint")["properties"]["secretName"]
    assert name["description"] == f"A Secret in {NAMESPACES[kind]} with a token."
    assert name[RULES][0]["message"] == f"mint.secretName {NOT_A_SECRET}"
    none, several = after.pop(RULES)
    assert "has(self.sectigo) || has(self.mint) || has(self.external)" in none["rule"]
    assert '"sectigo:" (Sectigo Certificate Manager), "mint:" (a CA of your own), or "external:"' in none["message"]
    assert "has(self.sectigo), has(self.mint), has(self.external)].filter(b, b).size() <= 1" in several["rule"]
    assert f"sectigo, mint and external, and create another {kind} for" in several["message"]
    *_, own = after["properties"]["external"]["properties"].pop("name")[RULES]
    assert own["rule"].endswith('"sectigo", "mint"])')
    del before[RULES], before["properties"]["external"]["properties"]["name"]
    assert after == before


@pytest.mark.slow("makes all definitions for each case, for seconds")
@KINDS
def test_a_dns_provider_is_one_more_file_for_all_that_set_records(kind: str, tmp_path: Path) -> None:
    (tmp_path / "pigeon.yaml").write_text(A_PROVIDER)
    made = spec(render(kind, {**FOLDERS, "dns": [*FOLDERS["dns"], tmp_path]}))["properties"]
    solver = made["acme"]["properties"]["solvers"]["items"]["properties"]["dns01"]
    for owner, dns01 in (("acme.solvers", solver), ("digicert", made["digicert"]["properties"]["dns01"])):
        name = dns01["properties"]["pigeon"]["properties"]["secretName"]
        assert name["description"] == f"The name of a Secret in {NAMESPACES[kind]}."
        assert name[RULES][0]["message"] == f"{owner}: pigeon.secretName {NOT_A_SECRET}"
        assert "has(self.exec), has(self.pigeon)].filter(p, p).size()" in dns01[RULES][0]["rule"]
        assert "webhook, exec and pigeon" in dns01[RULES][0]["message"]


def test_each_dns_provider_has_a_schema_and_the_other_way_round() -> None:
    solver = spec(made("Issuer"))["properties"]["acme"]["properties"]["solvers"]["items"]["properties"]["dns01"]
    other = {"challengeType", "recursiveNameservers", "recursiveNameserversOnly"}
    assert solver["properties"].keys() - other == _KINDS.keys()


def _differences(one: Any, other: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from _differences(one[key], other[key], path if key in ("properties", "items") else (*path, key))
    elif one != other:
        yield path, one, other


def test_issuer_and_cluster_issuer_differ_only_in_where_things_are() -> None:
    """The same fields with the same bounds and rules; but annotations of an Ingress are only for whom it is safe."""
    issuer, cluster_issuer = spec(made("Issuer")), spec(made("ClusterIssuer"))
    several, other = issuer[RULES][1], cluster_issuer[RULES][1]
    assert several.pop("message") == other.pop("message").replace("another ClusterIssuer", "another Issuer")
    routes = set()
    for path, one, another in _differences(issuer, cluster_issuer):
        if path[:3] == ROUTES:
            routes.add(path[3:])
            continue
        assert path[-1] == "description"
        assert one.replace(f"Secret in {NAMESPACES['Issuer']}", f"Secret in {NAMESPACES['ClusterIssuer']}") == another
    assert routes == {
        ("ingress", "description"),
        ("ingress", "ingressTemplate", "metadata", "annotations", "description"),
        ("ingress", "ingressTemplate", "metadata", "annotations", RULES),
        ("gatewayHTTPRoute", "description"),
        ("gatewayHTTPRoute", "parentRefs", "namespace", "description"),
    }
