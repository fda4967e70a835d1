"""`convert`: manifests of cert-manager, read and written."""

import sys
from pathlib import Path

import yaml

from .convert import convert as converted
from .convert import render
from .output import note


def convert(file: str) -> int:
    """Returns the exit status: 1 if there is nothing of cert-manager's in it, or it cannot be read."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        documents = list(converted(yaml.safe_load_all(text)))
    except OSError as error:
        note(f"error: cannot read {file}: {error.strerror}")
        return 1
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1} of {file}" if mark is not None else f"{file}"
        why = "is nested too deep" if isinstance(error, RecursionError) else "cannot be read as YAML"
        note(f"error: {where} {why}: pass manifests as kubectl takes them; for a chart, the output of `helm template`")
        return 1
    if not any(document.obj is not None for document in documents):
        note(f"error: there is no Certificate, Issuer or ClusterIssuer of cert-manager.io/v1 to convert in {file}")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print(render(documents), end="")
    return 0 if any(document.obj is not None for document in documents) else 1
