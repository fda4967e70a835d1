"""Each reason is given somewhere, or waited for: docs/reference.md must not explain one that nobody will see."""

import ast
from pathlib import Path

from csr_operator.api.reasons import Reason

OPERATOR = Path(__file__).parents[2] / "operator" / "csr_operator"
TABLE = OPERATOR / "api" / "reasons.py"


def test_each_reason_is_used_outside_of_its_table() -> None:
    used = {
        node.attr
        for file in OPERATOR.rglob("*.py")
        if file != TABLE
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }
    assert [reason.name for reason in Reason if reason.name not in used] == []
