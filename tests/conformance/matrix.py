"""`python -m tests.conformance.matrix > docs/conformance.md`: which backend is asked for what."""

from collections.abc import Sequence

from tests.conformance.backends import BACKENDS, BackendUnderTest
from tests.conformance.cases import CASES

_HEAD = """\
# Conformance

What each backend is tested to give, by a suite that is the same for all: `.venv/bin/pytest tests/conformance`. A cell
says `yes` where a test applies such a request to a real control plane, has that backend sign it, and compares the
certificate with what was asked for: names, key, usages, CA bit, duration, the chain with `openssl verify -x509_strict`,
and the status. It says `-` where the CA behind the backend cannot do it; `tests/conformance/backends.py` says why, and
which CAs write the subject themselves or round the duration up.

The CAs behind `acme` are Pebble 2.10.1, step-ca 0.30.2 and OpenBao 2.7.2 themselves. They validate for real: names by
dns-01, with records that the operator sets at a BIND by RFC 2136; addresses, at Pebble and step-ca, by http-01, for
which these connect to the operator. An address that nothing answers at cannot be asked of them. A proxy before Pebble
does what Let's Encrypt's own software does and Pebble does not: it leaves challenges pending, refuses to be told of one
twice, and gives the same names the same order.

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
