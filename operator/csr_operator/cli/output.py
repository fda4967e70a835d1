"""What a command found, as a person or a program reads it."""

import json
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """data: for programs, fit for JSON. text: for people. ok: whether the exit status is 0."""

    data: Any
    text: str
    ok: bool = True


def show(report: Report, form: str) -> None:
    """Print a report as `table`, `json` or `yaml`."""
    match form:
        case "json":
            text = json.dumps(report.data, indent=2)
        case "yaml":
            text = as_yaml(report.data).rstrip("\n")
        case _:
            text = clean(report.text)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if text:
        print(text)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*([./_-]+[A-Za-z0-9]+)+|[A-Za-z]{4,}")
_WORDS = frozenset({"true", "false", "null", "none"})


def as_yaml(data: Any) -> str:
    """Which readers of YAML 1.1 and of 1.2 understand alike: a text that one may take for a number is in quotes."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Of its own, as representers belong to a class."""

    def scalar(dumper: Any, text: str) -> Any:
        style = None if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else "|" if "\n" in text[:-1] else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, scalar)
    Dumper.add_multi_representer(str, scalar)  # also of a member of an enum, or of a difference
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def note(text: str) -> None:
    """What the user has to know besides, on stderr."""
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    print(clean(text), file=sys.stderr)


def ask(question: str) -> bool:
    """Whether the user says yes; no answer is none."""
    print(question, end="", file=sys.stderr, flush=True)
    # asyncio's own handler lets Ctrl-C wait for the answer.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    finally:
        signal.signal(signal.SIGINT, before)


def write_file(path: Path | None, content: bytes) -> None:
    """None: stdout. Raises OSError."""
    if path is not None:
        path.write_bytes(content)
        return
    sys.stdout.buffer.write(content)


def clean(text: str) -> str:
    """Names and messages are others' words: no control character of them reaches the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """The text with each run of blanks and line breaks as one space."""
    return " ".join(text.split())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as kubectl sets them: as wide as needed, three spaces apart."""
    lines = [tuple(head), *(tuple(one_line(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("   ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def facts(pairs: Iterable[tuple[str, str]], indent: str = "") -> str:
    """One line each: the name in a column of its own, then the text."""
    kept = [(name, one_line(text)) for name, text in pairs if text]
    width = max((len(name) for name, _ in kept), default=0)
    return "\n".join(f"{indent}{name.ljust(width)}   {text}" for name, text in kept)


def span(length: timedelta) -> str:
    """A length of time in one unit, such as 89d, 47h, 12m or 50s."""
    seconds = int(abs(length.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def when(distance: timedelta) -> str:
    """`in 89d`, or `3h ago`."""
    return f"{span(distance)} ago" if distance < timedelta(0) else f"in {span(distance)}"
