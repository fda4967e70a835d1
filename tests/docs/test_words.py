"""What users read is in the field's own terms: no phrase that this project had before and that reads translated."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SOURCES = [path for name in ("csr_operator", "csr_acme") for path in sorted((TOP / "operator" / name).rglob("*.py"))]
TEXTS = [
    *sorted(TOP.glob("*.md")),
    *sorted((TOP / "docs").rglob("*.md")),
    *(
        path
        for folder in ("crds", "deploy", "examples")
        for path in sorted((TOP / folder).rglob("*"))
        if path.suffix in {".md", ".yaml"}
    ),
]

PHRASES = {
    r"\bmend(s|ed)?\b": "fix",
    r"\b(bring(s|ing)?|brought)\b": "import, or a plainer word",
    r"\bown words\b": "message",
    r"\bwaits? for a person\b": "waits for manual signing",
    r"\bas it should be\b": "OK",
    r"\bis no pod\b": "does not run in a pod",
    r"\bhave it renewed\b": "renew it",
    r"\bwants? (an |another |no )?approval\b": "needs approval",
    r"\btakes? the right\b": "requires the permission",
    r"\b(is|stands?) in the way\b": "name the obstacle",
    r"\b(give|gives|given|gave|giving) (it |them |the \w+ )?up\b": "abandon",
    r"\bso that there is none\b": "say what is missing",
    r"\bof which it was\b": "say what it is",
    r"\bby whom\b": "say who",
    r"\blets nobody\b": "does not allow",
    r"(?<!there )\bis no (name|duration|URL|JSON|YAML|text|base64|list|number|certificate|key)\b": "is not a ...",
}


def _strings(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a module, without docstrings; of an f-string, the text between the values."""
    tree = ast.parse(path.read_text())
    bodies = (body for node in ast.walk(tree) if isinstance(body := getattr(node, "body", None), list))
    docstrings = {
        id(statement.value)
        for body in bodies
        for statement in body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def _found(pieces: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {line}: {match[0]!r}: {better}"
        for line, text in pieces
        for phrase, better in PHRASES.items()
        for match in re.finditer(phrase, re.sub(r"\s+", " ", text), re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(TOP)))
def test_messages_are_in_plain_words(path: Path) -> None:
    assert _found(_strings(path)) == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(TOP)))
def test_pages_and_manifests_are_in_plain_words(path: Path) -> None:
    """Paragraph by paragraph, as a phrase may be broken over lines."""
    paragraphs = re.split(r"\n\s*\n", path.read_text())
    starts = [sum(p.count("\n") + 2 for p in paragraphs[:n]) + 1 for n in range(len(paragraphs))]
    assert _found(iter(zip(starts, paragraphs, strict=True))) == []
