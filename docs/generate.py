"""`python -m docs.generate` writes what docs/reference.md takes from the code: fields, reasons, metrics and more."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase

from crds.generate import fields_of
from csr_operator import metrics
from csr_operator.__main__ import _parser
from csr_operator.api.keys import Kind
from csr_operator.api.reasons import ROWS, Seen, With
from csr_operator.kube.resources import WATCHED

TOP = Path(__file__).parents[1]
REFERENCE = TOP / "docs" / "reference.md"

_SECTION = re.compile(r"(<!-- generated: (\w+)(?: (\w+))? -->\n).*?(\n<!-- end -->)", re.DOTALL)

Schema = dict[str, Any]


def render(text: str) -> str:
    """The text with everything between `<!-- generated: ... -->` and `<!-- end -->` as the code has it now."""
    writers: dict[str, Callable[[str], str]] = {
        "spec": lambda kind: _fields(kind, "spec"),
        "status": lambda kind: _fields(kind, "status"),
        "backends": lambda _: _backends(),
        "arguments": lambda _: _arguments(),
        "metrics": lambda _: _metrics(),
        "reasons": lambda of: _reasons(of),
    }
    return _SECTION.sub(lambda match: match[1] + writers[match[2]](match[3] or "") + match[4], text)


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows]
    return "\n".join([f"| {head} |", "| " + " | ".join("---" for _ in rows[0]) + " |", *(f"| {row} |" for row in body)])


def _fields(kind: str, part: str) -> str:
    crd = yaml.safe_load((TOP / "crds" / f"csr-operator.dev_{WATCHED[Kind(kind)].plural}.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"][part]
    return _table(("Field", "Type", "Meaning"), *_walk("", schema))


def _backends() -> str:
    names = [f"[`{name}`]({name}.md)" if _has_page(name) else f"`{name}`" for name in fields_of("backends")]
    return f"Exactly one backend is set: {', '.join(names)} or [`external`](backends.md)."


def _has_page(name: str) -> bool:
    return (REFERENCE.parent / f"{name}.md").exists()


def _walk(prefix: str, schema: Schema) -> Iterator[tuple[str, str, str]]:
    for name, child in schema.get("properties", {}).items():
        required = ", required" if name in schema.get("required", ()) else ""
        yield f"`{prefix}{name}`", _type(child) + required, child["description"]
        items = child.get("items", {})
        yield from _walk(f"{prefix}{name}[]." if items else f"{prefix}{name}.", items or child)


def _type(schema: Schema) -> str:
    match schema:
        case {"enum": values}:
            return "one of " + ", ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}s"
        case {"additionalProperties": values}:
            return f"map of {_type(values)}s"
        case {"format": "date-time"}:
            return "time"
        case {"minimum": low, "maximum": high}:
            return f"{schema['type']}, {low} to {high}"
    return str(schema["type"])


def _arguments() -> str:
    (commands,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    run = commands.choices["run"]
    options = [action for action in run._actions if not isinstance(action, argparse._HelpAction)]
    return _table(("Argument", "Default", "Meaning"), *map(_argument, options))


def _argument(action: argparse.Action) -> tuple[str, str, str]:
    value = "|".join(action.choices) if action.choices else action.metavar or action.dest.upper()
    default = f"{action.default:g}" if isinstance(action.default, float) else action.default
    return f"`{action.option_strings[0]} {value}`", f"`{default}`" if default else "", action.help or ""


def _metrics() -> str:
    own = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    rows = [_metric(_exposed(m), m._type, m._labelnames, m._documentation) for m in own]
    families = metrics.RequestCollector(lambda: ()).describe()
    rows += [_metric(f.name, f.type, f._labelnames, f.documentation) for f in families]  # type: ignore[attr-defined]
    return _table(("Metric", "Type", "Labels", "Meaning"), *rows)


def _exposed(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


def _metric(name: str, kind: str | None, labels: tuple[str, ...], documentation: str) -> tuple[str, str, str, str]:
    return f"`{name}`", str(kind), ", ".join(f"`{label}`" for label in labels), documentation


_REASONS = {
    "request": (Seen.REQUEST, Seen.EVENT),
    "issuer": (Seen.ISSUER,),
    "certificate": (Seen.CERTIFICATE,),
    "replica": (Seen.REPLICA,),
}
_WORDS = {
    "request": "REQUEST -n NAMESPACE",
    "secret": "SECRET_NAME",
    "issuer": "csrissuer ISSUER -n NAMESPACE",
    "namespace": "NAMESPACE",
    "generation": "GENERATION",
}


def _reasons(of: str) -> str:
    rows = []
    for reason, row in ROWS.items():
        if row.seen in _REASONS[of]:
            beside = "an event" if row.seen in (Seen.EVENT, Seen.REPLICA) else _beside(row.beside)
            meaning = " ".join(filter(None, (row.meaning.format(**_WORDS), row.detail)))
            rows.append((f"`{reason}`", beside, meaning, row.remedy.format(**_WORDS)))
    if of == "certificate":
        return _table(("Reason", "Meaning"), *((reason, meaning) for reason, _, meaning, _ in rows))
    return _table(("Reason", "With", "Meaning", "What to do"), *rows)


def _beside(condition: With) -> str:
    return f"`{condition}`" if condition in (With.STALLED, With.RECONCILING) else condition


if __name__ == "__main__":
    REFERENCE.write_text(render(REFERENCE.read_text()))
    sys.exit()
