"""A name says what it stands for, so that nobody has to read on to know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("operator", "crds", "docs", "devcluster", "benchmarks", "fuzz")
SAY_NOTHING = frozenset({"one", "each", "asked", "owed", "said", "found", "words", "grid"})
PROMISED = {
    ("operator/csr_operator/plugin/fresh.py", "found"),
    ("operator/csr_operator/plugin/schedule.py", "asked"),
}
"""Names of the API for third parties (`csr_operator.plugin`), which stay."""


def test_every_name_says_what_it_stands_for() -> None:
    vague = [
        f"{path}:{line}: {name}"
        for file in sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
        for path in [file.relative_to(ROOT).as_posix()]
        for line, name in _vague_names(ast.parse(file.read_text()))
        if (path, name) not in PROMISED
    ]

    assert not vague, (
        "these names do not say what they stand for; use the noun of the field, such as `certificate`, `entry`, "
        "`answer`, `message` or `wanted`, and a verb for a function:\n" + "\n".join(vague)
    )


@pytest.mark.parametrize(
    "code",
    [
        "one = 1",
        "one: int = 1",
        "a, (b, *one) = 1, (2, 3)",
        "for one in (): pass",
        "[one for one in ()]",
        "if (one := 1): pass",
        "lambda one: 1",
        "def f(*, one=1): pass",
        "def f(**one): pass",
        "def one(): pass",
        "async def _one(): pass",
        "class C:\n    one: int",
        "self._one = 1",
        "self.one: int = 1",
        "import math as one",
        "with open('f') as one: pass",
        "try: pass\nexcept OSError as one: pass",
        "match 1:\n    case one: pass",
        "match []:\n    case [*one]: pass",
        "match {}:\n    case {**one}: pass",
    ],
)
def test_a_name_is_seen_wherever_it_is_given(code: str) -> None:
    assert {name.strip("_") for _, name in _vague_names(ast.parse(code))} == {"one"}


def test_what_others_named_may_be_used() -> None:
    assert not list(_vague_names(ast.parse("import one\nmodule.one(one.said, words=1)['each']")))


def _vague_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each that is given in the code."""
    for node in ast.walk(tree):
        name = _given_by(node)
        if name is not None and name.strip("_") in SAY_NOTHING:
            yield getattr(node, "lineno", 0), name


def _given_by(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.alias(asname=name):
            return name
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return name
        case ast.MatchMapping(rest=name):
            return name
    return None
