"""Every bound that a schema sets is enforced, and kubectl's answer names the field and the bound."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from devcluster import ControlPlane
from tests.crds.cases import REQUEST
from tests.crds.schema import ITEM, VALUE, Manifest, Schema, SchemaPath, answers, fields, manifest

LEAST: Mapping[str, Mapping[str, Any]] = {
    "CertificateRequest": REQUEST,
    "Issuer": {"selfSigned": {}},
    "ClusterIssuer": {"selfSigned": {}},
}


class Violation(NamedTuple):
    """A value at a path that breaks one bound, the field that the answer names, and a pattern of what it says."""

    kind: str
    path: SchemaPath
    value: Any
    field: str
    says: str


def violations() -> Iterator[Violation]:
    for field in fields():
        for value, says in _broken(field.schema):
            second = "[1]" if says == "Duplicate value" else ""
            yield Violation(field.kind, field.path, value, _where(field.path) + second, says)
        for name in field.schema.get("required", ()):
            if field.path:  # `_put` has no place for a whole object; see test_spec_is_required.
                lacking = {key: value for key, value in _sample(field.schema).items() if key != name}
                yield Violation(field.kind, field.path, lacking, _where((*field.path, name)), "Required value")


def _broken(schema: Schema) -> Iterator[tuple[Any, str]]:
    for keyword, bound in schema.items():
        match keyword:
            case "maxLength":
                yield "x" * (bound + 1), f"Too long: may not be more than {bound} bytes"
            case "minLength":
                yield "", f'Invalid value: "": .* in body should be at least {bound} chars long'
            case "maxItems":
                items = [_sample(schema["items"], i) for i in range(bound + 1)]
                yield items, f"Too many: {bound + 1}: must have at most {bound} items"
            case "maxProperties":
                properties = {f"key{i}": "x" for i in range(bound + 1)}
                yield properties, f"Too many: {bound + 1}: must have at most {bound} items"
            case "minimum":
                yield bound - 1, f"Invalid value: {bound - 1}: .* should be greater than or equal to {bound}"
            case "maximum":
                yield bound + 1, f"Invalid value: {bound + 1}: .* should be less than or equal to {bound}"
            case "enum":
                supported = ", ".join(f'"{one}"' for one in bound)
                yield "Other", f'Unsupported value: "Other": supported values: {supported}'
            case "format" if bound == "date-time":
                yield "tomorrow", 'Invalid value: "tomorrow": .* must be of type date-time'
            case "x-kubernetes-list-type" if bound in ("set", "map"):
                yield [_sample(schema["items"])] * 2, "Duplicate value"


def _sample(schema: Schema, number: int = 0) -> Any:
    """A value that keeps the bounds of the schema; another one for each number."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object":
            return {name: _sample(schema["properties"][name], number) for name in schema.get("required", ())}
        case "array":
            return []
        case "integer":
            return schema.get("minimum", 0)
        case "string" if schema.get("format") == "date-time":
            return "2026-01-01T00:00:00Z"
    return f"x{number}"


def _where(path: SchemaPath) -> str:
    """The path as an error has it, for the places that `_broken_manifest` fills."""
    return ".".join(path).replace(f".{ITEM}", "[0]").replace(f".{VALUE}", ".key")


def _broken_manifest(name: str, violation: Violation) -> Manifest:
    whole = manifest(violation.kind, name, dict(LEAST[violation.kind]))
    _put(whole, violation.path, violation.value)
    return whole


def _put(node: Any, path: SchemaPath, value: Any) -> None:
    part, *rest = path
    slot: Any = {ITEM: 0, VALUE: "key"}.get(part, part)
    if rest:
        if part == ITEM:
            node.append({} if rest[0] != ITEM else [])
        else:
            child: Any = [] if rest[0] == ITEM else {}
            held = node.get(slot)
            node[slot] = child if isinstance(child, list) or held is None else dict(held)
        _put(node[slot], tuple(rest), value)
    elif part == ITEM:
        node.append(value)
    else:
        node[slot] = value


VIOLATIONS = list(violations())


@pytest.fixture(scope="module")
def answered(cluster: ControlPlane) -> list[str]:
    """kubectl's answer to each violation; status is set as its owner sets it, through its subresource."""
    manifests = [_broken_manifest(f"bound-{i:03}", violation) for i, violation in enumerate(VIOLATIONS)]
    specs = [each for each in manifests if "status" not in each]
    statuses = [each for each in manifests if "status" in each]
    whole = [{key: value for key, value in each.items() if key != "status"} for each in statuses]
    assert not any(answers(cluster, whole, "create").values())
    said = answers(cluster, specs, "create", "--dry-run=server")
    said |= answers(cluster, statuses, "replace", "--subresource=status", "--dry-run=server")
    return [said[each["metadata"]["name"]] for each in manifests]


@pytest.mark.parametrize(
    ("number", "violation"),
    list(enumerate(VIOLATIONS)),
    ids=[f"{each.kind}.{each.field}: {each.says.split(':')[0]}" for each in VIOLATIONS],
)
def test_bound(answered: list[str], number: int, violation: Violation) -> None:
    assert re.search(rf"(^|, |\[){re.escape(violation.field)}: {violation.says}", answered[number])


def test_spec_is_required(cluster: ControlPlane) -> None:
    """An object without spec is not one with nothing in it, which would pass the rules for what is in it."""
    without = [manifest(kind, kind.lower(), {}) for kind in LEAST]
    for each in without:
        del each["spec"]
    said = answers(cluster, without, "create", "--dry-run=server")
    assert all(answer.startswith("[spec: Required value") for answer in said.values())
