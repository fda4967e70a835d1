"""`python -m tests.conformance.matrix > docs/conformance.md`: which backend is asked for what."""

from collections.abc import Sequence

from tests.conformance.backends import BACKENDS, BackendUnderTest
from tests.conformance.cases import CASES

_HEAD = """\
# Conformance

What each backend is tested to give, by a suite that is the same for all: `.venv/bin/pytest tests/conformance`. A cell
says `yes` where a test applies such a request to a real control plane, has that backend sign it, and compares the
certificate with what was asked for: names, key, usages, CA bit, duration, the chain by `openssl verify -x509_strict`,
and the status. It says `-` where the CA behind the backend cannot do it; `tests/conformance/backends.py` says why, and
which CAs write the subject themselves or round the duration up.

The servers behind `digicert`, `digicertOne` and `sectigo` are emulated from published documents, and not verified by
the vendors.

For a backend of your own, write a `BackendUnderTest` (its docstring says what goes in) and run
`.venv/bin/pytest tests/conformance --conformance-backend your.module:YOUR_BACKEND`.

This page is written by `.venv/bin/python -m tests.conformance.matrix`; a test holds it to what is run.
"""


def matrix(backends: Sequence[BackendUnderTest] = BACKENDS) -> str:
    """The table in Markdown."""
    rows = [["case", *(backend.name for backend in backends)]]
    rows += [[case.name, *("yes" if case.needs <= backend.features else "-" for backend in backends)] for case in CASES]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def page() -> str:
    """All of docs/conformance.md."""
    return f"{_HEAD}\n{matrix()}"


if __name__ == "__main__":
    print(page(), end="")
