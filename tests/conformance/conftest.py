"""`--conformance-backend MODULE:NAME` runs the suite for a third-party backend instead of the project's own."""

from importlib import import_module

import pytest

from tests.conformance.backends import BACKENDS, BackendUnderTest
from tests.conformance.matrix import matrix


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--conformance-backend",
        action="append",
        metavar="MODULE:NAME",
        help="a BackendUnderTest to run the conformance suite for; repeatable",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        backends = _chosen(metafunc.config)
        metafunc.parametrize("backend", backends, ids=[b.name for b in backends], indirect=True, scope="module")


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> BackendUnderTest:
    chosen: BackendUnderTest = request.param
    return chosen


def _chosen(config: pytest.Config) -> list[BackendUnderTest]:
    paths = config.getoption("--conformance-backend", default=None)
    if not paths:
        return list(BACKENDS)
    found = []
    for path in paths:
        module, _, name = path.partition(":")
        found.append(getattr(import_module(module), name))
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if any("tests/conformance/test_conformance.py" in r.nodeid for r in terminalreporter.stats.get("passed", [])):
        terminalreporter.section("conformance")
        terminalreporter.write(matrix(_chosen(config)))
