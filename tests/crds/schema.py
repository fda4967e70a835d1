"""The schemas of `crds/`, walked, and kubectl's answers to many manifests at once."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from devcluster import ControlPlane

API_VERSION = "csr-operator.dev/v1alpha1"
CRDS = Path(__file__).parents[2] / "crds"

ITEM, VALUE = "[]", "{}"
"""Stand in a path for any element of a list and any value of a map."""

Manifest = dict[str, Any]
Schema = dict[str, Any]
SchemaPath = tuple[str, ...]


class Field(NamedTuple):
    kind: str
    path: SchemaPath
    schema: Schema


class Rule(NamedTuple):
    """One x-kubernetes-validations entry: the path its errors carry and a part that its message always has."""

    kind: str
    path: SchemaPath
    says: str


def read_yaml(text: str) -> dict[str, Any]:
    """One document, by libyaml where it is: a definition takes a second without it."""
    found: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


@lru_cache
def definitions() -> dict[str, Schema]:
    """The CustomResourceDefinitions by the kind they define; they are nobody's to change."""
    found = [read_yaml(file.read_text()) for file in sorted(CRDS.glob("csr-operator.dev_*.yaml"))]
    return {crd["spec"]["names"]["kind"]: crd for crd in found}


def root(kind: str) -> Schema:
    (version,) = definitions()[kind]["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def fields() -> Iterator[Field]:
    """Every node of every schema, objects before what they hold."""
    for kind in definitions():
        yield from _walk(kind, (), root(kind))


def _walk(kind: str, path: SchemaPath, schema: Schema) -> Iterator[Field]:
    yield Field(kind, path, schema)
    for name, child in schema.get("properties", {}).items():
        yield from _walk(kind, (*path, name), child)
    if "items" in schema:
        yield from _walk(kind, (*path, ITEM), schema["items"])
    if "additionalProperties" in schema:
        yield from _walk(kind, (*path, VALUE), schema["additionalProperties"])


def rules() -> Iterator[Rule]:
    for kind, path, schema in fields():
        for rule in schema.get("x-kubernetes-validations", ()):
            says = rule["message"]
            if "messageExpression" in rule:
                says = max(re.findall(r'"([^"]*)"', rule["messageExpression"]), key=len)
            yield Rule(kind, (*path, *filter(None, rule.get("fieldPath", "").split("."))), says)


def as_pattern(path: SchemaPath) -> str:
    """A regular expression for the way an error names the path."""
    pattern = ""
    for part in path:
        match part:
            case "[]":
                pattern += r"\[\d+\]"
            case "{}":
                pattern += r"\[[^\]]+\]"
            case _:
                pattern += (r"\." if pattern else "") + re.escape(part)
    return pattern


def manifest(kind: str, name: str, spec: Mapping[str, Any], **more: Any) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec, **more}


_COMPLAINT = re.compile(r'^Error from server \(Invalid\): .*?\.csr-operator\.dev "([^"]+)" is invalid: (.*)$')
_SUCCESS = re.compile(r"^\S+\.csr-operator\.dev/(\S+) \w+")


def answers(cluster: ControlPlane, manifests: Sequence[Manifest], *command: str) -> dict[str, str]:
    """What kubectl says to each manifest, by its name, in order: the complaint, or nothing if it was accepted.

    One kubectl reads them all, since a process for each would take ten times as long.
    """
    done = subprocess.run(
        [cluster.kubectl, *command, "-f", "-"],
        env=cluster.env,
        input="\n".join(map(json.dumps, manifests)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = {match[1]: match[2] for line in done.stderr.splitlines() if (match := _COMPLAINT.match(line))}
    found |= {match[1]: "" for line in done.stdout.splitlines() if (match := _SUCCESS.match(line))}
    names = [each["metadata"]["name"] for each in manifests]
    missing = [name for name in names if name not in found]
    assert not missing, f"kubectl said nothing about {missing}:\n{done.stderr[-4000:]}"
    return {name: found[name] for name in names}
