"""The definitions of the issuers are made from their parts, and of both kinds alike."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from crds.generate import FOLDERS, NAMESPACES, BadPart, destination, render
from csr_operator.dns.providers import PROVIDERS
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


def with_one_more(text: str, addition: str, end: str) -> str:
    """The text with `addition` before `end`, which it has once."""
    assert text.count(end) == 1
    return text.replace(end, addition + end)


def dns01_objects(issuer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema of each object that names a DNS provider, and whose it is."""
    properties = issuer["properties"]
    yield "acme.solvers", properties["acme"]["properties"]["solvers"]["items"]["properties"]["dns01"]
    for name, backend in properties.items():
        if "dns01" in backend.get("properties", {}):
            yield name, backend["properties"]["dns01"]


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
    (none, several), (none_before, several_before) = after.pop(RULES), before.pop(RULES)
    assert none["rule"] == with_one_more(none_before["rule"], "has(self.mint) || ", "has(self.external)")
    assert none["message"] == with_one_more(none_before["message"], '"mint:" (a CA of your own), ', 'or "external:"')
    assert several["rule"] == with_one_more(several_before["rule"], "has(self.mint), ", "has(self.external)]")
    assert several["message"] == with_one_more(several_before["message"], ", mint", " and external")
    (*_, own), (*_, own_before) = (
        version["properties"]["external"]["properties"].pop("name")[RULES] for version in (after, before)
    )
    assert own["rule"] == with_one_more(own_before["rule"], ', "mint"', "])")
    assert after == before


@pytest.mark.slow("makes all definitions for each case, for seconds")
@KINDS
def test_a_dns_provider_is_one_more_file_for_all_that_set_records(kind: str, tmp_path: Path) -> None:
    (tmp_path / "pigeon.yaml").write_text(A_PROVIDER)
    before, after = spec(render(kind)), spec(render(kind, {**FOLDERS, "dns": [*FOLDERS["dns"], tmp_path]}))
    objects = dict(dns01_objects(before))
    for owner, dns01 in dns01_objects(after):
        name = dns01["properties"]["pigeon"]["properties"]["secretName"]
        assert name["description"] == f"The name of a Secret in {NAMESPACES[kind]}."
        assert name[RULES][0]["message"] == f"{owner}: pigeon.secretName {NOT_A_SECRET}"
        count, count_before = dns01[RULES][0], objects[owner][RULES][0]
        assert count["rule"] == with_one_more(count_before["rule"], ", has(self.pigeon)", "].filter(p, p)")
        *others, last = (name for name in objects[owner]["properties"] if name in PROVIDERS)
        listed = ", ".join(others)
        assert f"{listed} and {last}" in count_before["message"]
        assert count["message"] == count_before["message"].replace(
            f"{listed} and {last}", f"{listed}, {last} and pigeon"
        )


def test_each_dns_provider_has_a_schema_and_the_other_way_round() -> None:
    solver = dict(dns01_objects(spec(made("Issuer"))))["acme.solvers"]
    other = {"challengeType", "recursiveNameservers", "recursiveNameserversOnly"}
    assert solver["properties"].keys() - other == PROVIDERS.keys()


@pytest.mark.parametrize(
    ("line", "changed", "told"),
    [
        ("order: 99\n", "", "order is missing"),
        ("order: 99", "order: first", "order: its value has to be of type int"),
        ("offer: '\"mint:\" (a CA of your own)'\n", "", "offer is missing"),
        ("fields:", "feilds:", "fields is missing"),
        ("order: 99", "order: 99\nowner: acme", "owner: a fragment has no such key"),
        ("  mint:\n", "  other:\n  mint:\n", "fields.other: write the schema of the property"),
        ("${namespace}", "${nmespace}", "mint.secretName: ${nmespace} stands for nothing here"),
        ("$part: secretName", "$part: secret", "mint.secretName: $part: there is no crds/parts/secret.yaml"),
        ("offer: '", "offer: ", "line 3, column"),
        ("order: 99", "rules: [{rule: 'true', message: '${x}'}]\norder: 99", "${x} stands for nothing here"),
        ("order: 99", "order: 99\norder: 100", "order is there twice"),
        ("order: 99", "rules: [{rule: 'true', mesage: x}]\norder: 99", "mesage: a rule has no such key"),
        ("order: 99", "rules: [{message: x}]\norder: 99", "a rule needs rule"),
        ("    description: A CA", "    descripton: A CA", "mint: descripton: a schema has no such key"),
        (
            "    description: A CA",
            "    items: {typ: string}\n    description: A CA",
            "mint: typ: a schema has no such key",
        ),
        (
            "        description: A Sec",
            "        descripton: A Sec",
            "mint.secretName: descripton: a schema has no such",
        ),
        ("    properties:\n", "    properties:\n      token: string\n", "mint.token: write the schema of the property"),
        ("    properties:\n", "    properties:\n    x:\n", "mint: properties: its value has to be of type dict"),
        ("    properties:\n", "    properties: []\n    items:\n", "mint: properties: its value has to be of type dict"),
        ("    properties:\n", "    properties:\n      yes: {type: string}\n", "mint: properties: True: it is not text"),
        (
            "    properties:\n",
            "    minLength: true\n    properties:\n",
            "mint: minLength: its value has to be of type int",
        ),
        ("    properties:\n", "    anyOf:\n    properties:\n", "mint: anyOf: its value has to be of type list"),
        (
            "    properties:\n",
            "    x-kubernetes-validations:\n    properties:\n",
            "mint: x-kubernetes-validations: its",
        ),
        (
            "    properties:\n",
            "    x-kubernetes-validations: {Issuer: , ClusterIssuer: []}\n    properties:\n",
            "mint: x-kubernetes-validations: its value has to be of type list",
        ),
        (
            "    properties:\n",
            "    x-kubernetes-validations: [{rule: [x]}]\n    properties:\n",
            "mint: rule: its value has to be of type str",
        ),
        (
            "        description: A Sec",
            "        required:\n        description: A Sec",
            "mint.secretName: required: its",
        ),
        ("$part: secretName", "$part: [secretName]", "mint.secretName: $part: its value has to be of type str"),
        ("$part: secretName", "$part: ../parts/secretName", "there is no crds/parts/../parts/secretName.yaml"),
        ("  mint:\n", "  1:\n", "fields: 1: it is not text"),
        ("order: 99", "only: [1]\norder: 99", "only: 1: it is not text"),
        ("order: 99", "only: [acme.solver]\norder: 99", "only: acme.solver: write one of "),
        ("order: 99", "? [a]\n: b\norder: 99", "a key has to be text"),
        ("order: 99", "rules: &r [*r]\norder: 99", "an alias has no place here"),
        pytest.param("order: 99", "order: " + "9" * 5000, "Exceeds the limit", id="long"),
        pytest.param("order: 99", "only: " + "[" * 3000 + "]" * 3000, "it is nested too deeply", id="deep"),
    ],
)
def test_what_is_wrong_with_a_fragment_is_told_with_its_file_and_the_key(
    line: str, changed: str, told: str, tmp_path: Path
) -> None:
    assert A_CA.count(line) == 1
    file = tmp_path / "mint.yaml"
    file.write_text(A_CA.replace(line, changed))
    with pytest.raises(BadPart) as error:
        render("Issuer", {"backends": [tmp_path], "dns": []})
    assert str(error.value).startswith(str(file))
    assert told in str(error.value)


def test_a_fragment_overwrites_no_field_of_another(tmp_path: Path) -> None:
    """Not of one beside it, and not of the frame either."""
    (tmp_path / "mint.yaml").write_text(A_CA)
    (tmp_path / "second.yaml").write_text(A_CA)
    with pytest.raises(BadPart) as error:
        render("Issuer", {"backends": [tmp_path], "dns": []})
    assert str(error.value).startswith(f"{tmp_path / 'second.yaml'}: mint: ")
    assert f"{tmp_path / 'mint.yaml'} has this field already" in str(error.value)

    (tmp_path / "second.yaml").write_text(A_CA.replace("  mint:\n", "  external:\n"))
    with pytest.raises(BadPart, match=r"second\.yaml has this field already"):
        render("Issuer", {"backends": [tmp_path], "dns": []})


def test_a_fragment_that_is_not_utf_8_is_told_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mint.yaml"
    file.write_bytes(A_CA.replace("A CA.", "Münze.").encode("latin-1"))
    with pytest.raises(BadPart) as error:
        render("Issuer", {"backends": [tmp_path], "dns": []})
    assert str(error.value) == f"{file}: line 7: it is not UTF-8: save the file as that"


def test_a_fragment_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mint.yaml"
    file.mkdir()
    with pytest.raises(BadPart) as error:
        render("Issuer", {"backends": [tmp_path], "dns": []})
    assert str(error.value) == f"{file}: cannot be read: Is a directory"


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
