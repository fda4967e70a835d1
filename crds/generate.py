"""`python -m crds.generate` writes the definitions of Issuer and ClusterIssuer from their parts.

A part is YAML as it is to stand in a definition, but for this:

`${namespace}` and the like       a word: one of `Values`
`{Issuer: x, ClusterIssuer: y}`   x in the one definition, y in the other
`$part: name`                     what `crds/parts/name.yaml` has, where nothing else is said here
`$each: folder`                   among properties: those of each `Fragment` in the folder

`crds/parts/issuer.yaml` is the frame. What a CA or a DNS provider adds to it is a `Fragment` beside its code.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

Values = Mapping[str, str]
"""`kind`; `singular`; `namespace`, where Secrets are; `field`, this one as messages name it; `file`, for errors. In an
object with `$each` and below it: `owner`, the field that the object belongs to, and those of `_counted`."""

_HEADER = """\
# Made by `make crds` from crds/parts and from the *.yaml beside the code of each CA and DNS provider: change those.
#
# Absent fields read as their default in the operator; the schema writes none into the stored object, but in the status.
"""
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_RULES, _PROPERTIES = "x-kubernetes-validations", "properties"
_TYPES = {"order": int, "fields": dict, "offer": str, "only": list, "rules": list}
_REQUIRED = {"backends": ("order", "fields", "offer"), "dns": ("order", "fields")}
"""What each fragment in a folder has to have."""


_SCHEMA_KEYS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("type", "description", "format", "title", "pattern", "$part"), (str,)),
    **dict.fromkeys(("default", "example"), ()),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), (int,)),
    **dict.fromkeys(("nullable", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems"), (bool,)),
    **dict.fromkeys(("enum", "required", "allOf", "anyOf", "oneOf", _RULES, "x-kubernetes-list-map-keys"), (list,)),
    **dict.fromkeys((_PROPERTIES, "items", "not", "externalDocs"), (dict,)),
    "additionalProperties": (dict, bool),
    "x-kubernetes-preserve-unknown-fields": (bool,),
    "x-kubernetes-int-or-string": (bool,),
    "x-kubernetes-embedded-resource": (bool,),
    "x-kubernetes-list-type": (str,),
    "x-kubernetes-map-type": (str,),
}
"""What JSONSchemaProps of apiextensions.k8s.io/v1 has, and of which type (none: of any), but for what a structural
schema must not have (`$ref` and its like). The API server drops any other key without a word. `$part` is ours."""

_RULE_KEYS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("rule", "message", "messageExpression", "reason", "fieldPath"), (str,)),
    "optionalOldSelf": (bool,),
}
"""What ValidationRule of apiextensions.k8s.io/v1 has, and of which type."""


class BadPart(Exception):
    """No definition can be made of a part or fragment; the text names its file and the key."""


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
    file: str
    """Its own, for messages."""


def destination(kind: str) -> Path:
    """The file that the definition of this kind is kept in."""
    return CRDS / f"csr-operator.dev_{kind.lower()}s.yaml"


def render(kind: str, folders: Folders = FOLDERS) -> str:
    """The text of that file, with the fragments of these folders. Raises BadPart."""
    frame = CRDS / "parts" / "issuer.yaml"
    values = {"kind": kind, "singular": kind.lower(), "namespace": NAMESPACES[kind], "field": "", "file": _name(frame)}
    fragments = {name: _fragments(paths, _REQUIRED[name]) for name, paths in folders.items()}
    maker = _Maker(fragments)
    made = maker.make(_load(frame), values)
    for folder, owners in maker.owners.items():
        for fragment in fragments[folder]:
            if odd := sorted({*fragment.only} - owners):
                raise BadPart(f"{fragment.file}: only: {odd[0]}: write one of {', '.join(sorted(owners))}")
    return _HEADER + yaml.dump(made, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=112)


def fields_of(folder: str) -> list[str]:
    """The properties that the fragments of this folder of `FOLDERS` add, in their order. Raises BadPart."""
    fragments = _fragments(FOLDERS[folder], _REQUIRED[folder])
    return [field for fragment in fragments for field in fragment.fields]


def _fragments(folders: Sequence[Path], required: Sequence[str]) -> list[Fragment]:
    files = [file for folder in folders for glob in ("*.yaml", "*/schema.yaml") for file in sorted(folder.glob(glob))]
    return sorted((_fragment(file, required) for file in files), key=lambda fragment: fragment.order)


def _fragment(file: Path, required: Sequence[str]) -> Fragment:
    keys = _load(file)
    for key in required:
        if key not in keys:
            raise BadPart(f"{_name(file)}: {key} is missing: `Fragment` in crds/generate.py says what it is")
    for key, value in keys.items():
        if key not in _TYPES:
            raise BadPart(f"{_name(file)}: {key}: a fragment has no such key; it has {', '.join(_TYPES)}")
        if not isinstance(value, _TYPES[key]):
            raise BadPart(f"{_name(file)}: {key}: its value has to be of type {_TYPES[key].__name__}")
    for name in ("fields", "only"):
        if odd := [entry for entry in keys.get(name, ()) if not isinstance(entry, str)]:
            raise BadPart(f"{_name(file)}: {name}: {odd[0]}: it is not text: write it in quotation marks")
    for name, schema in keys["fields"].items():
        if not isinstance(schema, dict):
            raise BadPart(f"{_name(file)}: fields.{name}: write the schema of the property")
    return Fragment(**keys, file=_name(file))


class _Loader(yaml.SafeLoader):
    """Takes no key twice, of which YAML's own would drop the first, and no alias, which may have no end."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "an alias has no place here: write it out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key has to be text", key.start_mark)
            if key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def _load(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.load(file.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadPart(f"{_name(file)}: line {line}: it is not UTF-8: save the file as that") from None
    except (yaml.YAMLError, ValueError) as error:
        raise BadPart(f"{_name(file)}: {error}") from None
    except OSError as error:
        raise BadPart(f"{_name(file)}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise BadPart(f"{_name(file)}: it is nested too deeply") from None
    if not isinstance(loaded, dict):
        raise BadPart(f"{_name(file)}: write keys and their values")
    return loaded


def _name(file: Path) -> str:
    """As seen from the top of the repository, if it is in there."""
    return str(file.relative_to(CRDS.parent) if file.is_relative_to(CRDS.parent) else file)


def _bad(values: Values, text: str) -> BadPart:
    return BadPart(": ".join(filter(None, (values["file"], values["field"], text))))


def _check_schema(schema: Any, values: Values) -> None:
    """Raises BadPart for a schema, as it stands in a part, with a key that none has. Its properties are not looked at:
    they are schemas of their own."""
    if not isinstance(schema, dict):
        raise _bad(values, "write the schema of the property")
    _check_keys(schema, "a schema", _SCHEMA_KEYS, values)
    if odd := [name for name in schema.get(_PROPERTIES, {}) if not isinstance(name, str)]:
        raise _bad(values, f"{_PROPERTIES}: {odd[0]}: it is not text: write the name in quotation marks")
    _check_rules(schema.get(_RULES, []), values)
    for key in ("items", "additionalProperties", "not"):
        if isinstance(inner := schema.get(key), dict):
            _check_schema(inner, values)
    for key in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(key, []):
            _check_schema(inner, values)


def _check_keys(node: dict[Any, Any], what: str, known: Mapping[str, tuple[type, ...]], values: Values) -> None:
    """Raises BadPart for a key that is not known, or whose value is of another type."""
    for key, value in node.items():
        if key not in known:
            raise _bad(values, f"{key}: {what} has no such key: correct it")
        for setting in _of_kinds(value):
            if (types := known[key]) and type(setting) not in types:
                expected = " or ".join(kind.__name__ for kind in types)
                raise _bad(values, f"{key}: its value has to be of type {expected}")


def _of_kinds(value: Any) -> list[Any]:
    """The value of a key, or those that it has for each kind."""
    return list(value.values()) if isinstance(value, dict) and value.keys() == NAMESPACES.keys() else [value]


def _check_rules(rules: Any, values: Values) -> None:
    """rules: a list, or others for each kind."""
    for rule in [rule for of_kind in _of_kinds(rules) for rule in of_kind]:
        if not isinstance(rule, dict) or "rule" not in rule:
            raise _bad(values, f"{_RULES}: a rule needs rule")
        _check_keys(rule, "a rule", _RULE_KEYS, values)


@dataclass(frozen=True, slots=True)
class _Maker:
    fragments: Mapping[str, Sequence[Fragment]]
    owners: dict[str, set[str]] = field(default_factory=dict)
    """Where the fragments of each folder were asked for."""

    def make(self, node: Any, values: Values) -> Any:
        """What a node of a part is in the definition."""
        match node:
            case str():
                return _PLACEHOLDER.sub(lambda match: _word(match[1], values), node)
            case list():
                return [self.make(item, values) for item in node]
            case dict() if node.keys() == NAMESPACES.keys():
                return self.make(node[values["kind"]], values)
            case dict():
                return self._mapping(node, values)
        return node

    def _mapping(self, node: dict[str, Any], values: Values) -> dict[str, Any]:
        if "$part" in node:
            file = CRDS / "parts" / f"{node['$part']}.yaml"
            if file not in (CRDS / "parts").iterdir():
                raise _bad(values, f"$part: there is no {_name(file)}")
            part = _load(file)
            values = {**values, "file": f"{values['file']} with {_name(file)}"}
            _check_schema(part, values)
            node = _merged(node, part, file)
        properties = node.get(_PROPERTIES, {})
        if not isinstance(properties, dict):
            raise _bad(values, f"{_PROPERTIES}: write the schema of each property")
        if "$each" not in properties:
            return self._object(node, values, [])
        if not isinstance(properties["$each"], str) or properties["$each"] not in self.fragments:
            raise _bad(values, f"$each: there is no folder {properties['$each']}, but {', '.join(self.fragments)}")
        owner = values["field"].rpartition(".")[0]
        self.owners.setdefault(properties["$each"], set()).add(owner)
        fragments = [part for part in self.fragments[properties["$each"]] if owner in (part.only or [owner])]
        values = {**values, "owner": owner, **_counted(fragments)}
        rules = []
        for fragment in fragments:
            own = {**values, "file": fragment.file}
            _check_rules(fragment.rules, own)
            rules += [self.make(rule, own) for rule in fragment.rules]
        return self._object({**node, _RULES: [*node.get(_RULES, []), *rules]}, values, fragments)

    def _object(self, node: dict[str, Any], values: Values, fragments: Sequence[Fragment]) -> dict[str, Any]:
        if "openAPIV3Schema" in node:
            _check_schema(node["openAPIV3Schema"], values)
        result = {key: self.make(value, values) for key, value in node.items() if key != _PROPERTIES}
        files: dict[str, str] = {}
        for name, schema in node.get(_PROPERTIES, {}).items():
            if name == "$each":
                prefix = f"{values['owner']}: " if values["owner"] else ""
                added = [
                    (own, schema, fragment.file) for fragment in fragments for own, schema in fragment.fields.items()
                ]
            else:
                prefix = f"{values['field']}." if values["field"] not in ("", "spec") else ""
                added = [(name, schema, values["file"])]
            for own, schema, file in added:
                inner = {**values, "field": prefix + own, "file": file}
                if own in files:
                    raise _bad(inner, f"{files[own]} has this field already: rename one of them")
                files[own] = file
                _check_schema(schema, inner)
                result.setdefault(_PROPERTIES, {})[own] = self.make(schema, inner)
        return result


def _word(name: str, values: Values) -> str:
    if name not in values:
        raise _bad(values, f"${{{name}}} stands for nothing here; these do: {', '.join(values)}")
    return values[name]


def _merged(own: Mapping[str, Any], part: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What `own` has comes first, and of what both have it alone; but rules and properties are those of both.

    file: that of the part.
    """
    if "type" not in part:
        raise BadPart(f"{_name(file)}: type is missing")
    merged = {"type": part["type"], **{key: value for key, value in own.items() if key != "$part"}}
    for key, value in part.items():
        if key == _RULES and key in own:
            merged[key] = [*own[key], *value]
        elif key == _PROPERTIES and key in own:
            if both := own[key].keys() & value.keys():
                raise BadPart(f"{_name(file)}: {_PROPERTIES}.{min(both)}: it is where the part is used as well")
            merged[key] = {**own[key], **value}
        else:
            merged.setdefault(key, value)
    return merged


def _counted(fragments: Sequence[Fragment]) -> Values:
    """For rules that count the properties of the fragments, and for their messages."""
    names = [name for fragment in fragments for name in fragment.fields]
    return {
        "any_set": " || ".join(f"has(self.{name})" for name in names),
        "each_set": ", ".join(f"has(self.{name})" for name in names),
        "names": ", ".join(names),
        "names_and": " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])),
        "names_quoted": ", ".join(f'"{name}"' for name in names),
        "offers": ", ".join(fragment.offer for fragment in fragments),
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
        short = all(isinstance(item, str) for item in data) and len(str(data)) < 80
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=short)


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(list, _Dumper.sequence)


if __name__ == "__main__":
    try:
        texts = {kind: render(kind) for kind in NAMESPACES}
    except BadPart as error:
        sys.exit(str(error))
    for kind, text in texts.items():
        destination(kind).write_text(text)
