"""No reason of the operator is without a paragraph, and no paragraph is about a reason that there is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import csr_operator
from csr_operator.cli import reasons
from csr_operator.control.queue import LAST_RETRY

OPERATOR = Path(csr_operator.__file__).parent
LOOKS_LIKE_A_REASON = re.compile(r"([A-Z][a-z]+)+")
# Words within these calls that look like a reason, and are something else.
NO_REASONS = {"Ready", "Reconciling", "Renewing", "Stalled", "True", "False", "Approved", "Secret"}


def called(*names: str) -> set[str]:
    """The words that look like a reason among the arguments of the calls of these names."""
    found = set()
    for file in OPERATOR.rglob("*.py"):
        if "cli" in file.relative_to(OPERATOR).parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) in names:
                found |= set(_words(node.args)) | set(_words([keyword.value for keyword in node.keywords]))
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _words(arguments: list[ast.expr]) -> Iterator[str]:
    strings = (node.value for node in arguments if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return (word for word in strings if LOOKS_LIKE_A_REASON.fullmatch(word))


def _in_issuers() -> set[str]:
    """Those that `_ask` returns: a tuple of ready, reason and health."""
    tree = ast.parse((OPERATOR / "control" / "issuers.py").read_text())
    (ask,) = (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef) and node.name == "_ask")
    returned = [node.value for node in ast.walk(ask) if isinstance(node, ast.Return)]
    return {word for value in returned if isinstance(value, ast.Tuple) for word in _words(value.elts)}


def test_every_reason_of_a_request_is_explained() -> None:
    assert called("Hold", "Failed", "_condition") - NO_REASONS == reasons.REQUEST.keys()


def test_every_reason_of_an_issuer_is_explained() -> None:
    assert _in_issuers() == reasons.ISSUER.keys()


def test_every_reason_for_another_certificate_is_explained() -> None:
    assert called("Issue", "_issue") == reasons.REISSUED.keys()


def test_how_long_a_retry_takes_at_most_is_what_is_said() -> None:
    assert LAST_RETRY == 60.0
    assert "at most a minute" in reasons.REQUEST["IssuerUnavailable"].meaning


def test_every_reason_says_what_to_do() -> None:
    advice = [*reasons.REQUEST.values(), *reasons.ISSUER.values(), reasons.UNSEEN, reasons.OUTDATED, reasons.LATE]
    for one in advice:
        assert one.meaning.endswith(".")
        assert one.remedy
        one.remedy.format(request="", secret="", issuer="", namespace="", generation=1)  # no other placeholder
