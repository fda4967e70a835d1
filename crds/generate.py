"""`python -m crds.generate` writes the definitions of Issuer and ClusterIssuer from their parts.

A part is YAML as it is to stand in a definition, but for this:

`${namespace}` and the like       a word: one of `Words`
`{Issuer: x, ClusterIssuer: y}`   x in the one definition, y in the other
`$part: name`                     what `crds/parts/name.yaml` has, where nothing else is said here
`$each: folder`                   among properties: those of each `Fragment` in the folder

`crds/parts/issuer.yaml` is the frame. What a CA or a DNS provider adds to it is a `Fragment` beside its code.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parent
OPERATOR = CRDS.parent / "operator" / "csr_operator"

Folders = Mapping[str, Sequence[Path]]
FOLDERS: Folders = {"backends": [OPERATOR / "backends"], "dns": [OPERATOR / "dns"]}
"""Where fragments are, by the name that `$each` has for them."""

NAMESPACES = {"Issuer": "this namespace", "ClusterIssuer": "the operator's own namespace"}
"""The kinds that are made, and where the Secrets are that each reads."""

Words = Mapping[str, str]
"""`kind`; `singular`; `namespace`, where Secrets are; `field`, this one as messages name it. In an object with `$each`
and below it: `owner`, the field that the object belongs to, and those of `_counted`."""

_HEADER = """\
# Made by `make crds` from crds/parts and from the *.yaml beside the code of each CA and DNS provider: change those.
#
# Absent fields read as their default in the operator; the schema writes none into the stored object, but in the status.
"""
_WORD = re.compile(r"\$\{(\w+)\}")
_RULES, _PROPERTIES = "x-kubernetes-validations", "properties"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fragment:
    """What one CA or DNS provider adds: `<name>.yaml` beside its module, or `schema.yaml` in its folder."""

    order: int
    """Its place among the others."""
    fields: Mapping[str, Any]
    """The schema of each property that it adds; mostly one."""
    offer: str = ""
    """Of a CA: what somebody is told of it whose issuer names none."""
    only: Sequence[str] = ()
    """The owners that have its properties. All when empty."""
    rules: Sequence[Mapping[str, Any]] = ()
    """CEL rules about its properties together with those beside them."""


def destination(kind: str) -> Path:
    """The file that the definition of this kind is kept in."""
    return CRDS / f"csr-operator.dev_{kind.lower()}s.yaml"


def render(kind: str, folders: Folders = FOLDERS) -> str:
    """The text of that file, with the fragments of these folders."""
    words = {"kind": kind, "singular": kind.lower(), "namespace": NAMESPACES[kind], "field": ""}
    made = _Maker({name: _fragments(paths) for name, paths in folders.items()}).make(_part("issuer"), words)
    return _HEADER + yaml.dump(made, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=112)


def _fragments(folders: Sequence[Path]) -> list[Fragment]:
    files = [file for folder in folders for glob in ("*.yaml", "*/schema.yaml") for file in sorted(folder.glob(glob))]
    return sorted((Fragment(**yaml.safe_load(file.read_text())) for file in files), key=lambda each: each.order)


def _part(name: str) -> dict[str, Any]:
    part: dict[str, Any] = yaml.safe_load((CRDS / "parts" / f"{name}.yaml").read_text())
    return part


@dataclass(frozen=True, slots=True)
class _Maker:
    fragments: Mapping[str, Sequence[Fragment]]

    def make(self, node: Any, words: Words) -> Any:
        """What a node of a part is in the definition."""
        match node:
            case str():
                return _WORD.sub(lambda match: words[match[1]], node)
            case list():
                return [self.make(each, words) for each in node]
            case dict() if node.keys() == NAMESPACES.keys():
                return self.make(node[words["kind"]], words)
            case dict():
                return self._mapping(node, words)
        return node

    def _mapping(self, node: dict[str, Any], words: Words) -> dict[str, Any]:
        if "$part" in node:
            node = _merged(node, _part(node["$part"]))
        properties = node.get(_PROPERTIES, {})
        if "$each" not in properties:
            return self._object(node, words, [])
        owner = words["field"].rpartition(".")[0]
        fragments = [each for each in self.fragments[properties["$each"]] if owner in (each.only or [owner])]
        rules = [*node[_RULES], *(rule for each in fragments for rule in each.rules)]
        return self._object({**node, _RULES: rules}, {**words, "owner": owner, **_counted(fragments)}, fragments)

    def _object(self, node: dict[str, Any], words: Words, fragments: Sequence[Fragment]) -> dict[str, Any]:
        found = {key: self.make(value, words) for key, value in node.items() if key != _PROPERTIES}
        for name, schema in node.get(_PROPERTIES, {}).items():
            if name == "$each":
                prefix = f"{words['owner']}: " if words["owner"] else ""
                added = {own: schema for each in fragments for own, schema in each.fields.items()}
            else:
                prefix = f"{words['field']}." if words["field"] not in ("", "spec") else ""
                added = {name: schema}
            for own, each in added.items():
                found.setdefault(_PROPERTIES, {})[own] = self.make(each, {**words, "field": prefix + own})
        return found


def _merged(own: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """What `own` has comes first, and of what both have it alone; but rules and properties are those of both."""
    merged = {"type": part["type"], **{key: value for key, value in own.items() if key != "$part"}}
    for key, value in part.items():
        if key == _RULES and key in own:
            merged[key] = [*own[key], *value]
        elif key == _PROPERTIES and key in own:
            merged[key] = {**own[key], **value}
        else:
            merged.setdefault(key, value)
    return merged


def _counted(fragments: Sequence[Fragment]) -> Words:
    """For rules that count the properties of the fragments, and for their messages."""
    names = [name for each in fragments for name in each.fields]
    return {
        "any_set": " || ".join(f"has(self.{name})" for name in names),
        "each_set": ", ".join(f"has(self.{name})" for name in names),
        "names": ", ".join(names),
        "names_and": " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])),
        "names_quoted": ", ".join(f'"{name}"' for name in names),
        "offers": ", ".join(each.offer for each in fragments),
    }


class _Dumper(yaml.SafeDumper):
    """Long texts in blocks, short lists in a line, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def text(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else ">" if len(data) > 80 else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def sequence(self, data: list[Any]) -> yaml.SequenceNode:
        short = all(isinstance(each, str) for each in data) and len(str(data)) < 80
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(list, _Dumper.sequence)


if __name__ == "__main__":
    for kind in NAMESPACES:
        destination(kind).write_text(render(kind))
