"""That the import contracts in pyproject.toml notice what they are there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    "a module on no floor": ("csr_operator/astray.py", "", "floors: nobody imports from above"),
    "an import from above": (
        "csr_operator/decisions/decide.py",
        "from csr_operator.control.controller import Controller",
        "floors: nobody imports from above",
    ),
    "a second door for kopf": ("csr_operator/control/controller.py", "import kopf", "kopf has one door"),
    "kopf in the ACME client": ("csr_acme/client.py", "import kopf", "kopf has one door"),
    "metrics in what is pure": (
        "csr_operator/decisions/decide.py",
        "import prometheus_client",
        "what is pure knows no network",
    ),
    "metrics in the check of answers": (
        "csr_operator/issuance/answer.py",
        "from csr_operator.issuance.failures import Failed",
        "what is pure knows no network",
    ),
    "kubectl-csr that issues": (
        "csr_operator/cli/exchange.py",
        "from csr_operator.issuance.performer import Performer",
        "kubectl-csr runs without the operator's machinery",
    ),
    "a CA that uses another": (
        "csr_operator/backends/manual.py",
        "from csr_operator.backends.ca import CaBackend",
        "a CA knows no other CA",
    ),
    "a DNS provider that uses another": (
        "csr_operator/dns/webhook.py",
        "from csr_operator.dns.rfc2136 import Rfc2136",
        "a DNS provider knows no other",
    ),
    "a CA that uses Kubernetes": (
        "csr_operator/backends/ca.py",
        "import kubernetes",
        "a CA knows neither Kubernetes nor the operator",
    ),
}


@pytest.mark.slow("starts the linter for each case")
@pytest.mark.parametrize(("file", "line", "contract"), CONTRACTS.values(), ids=CONTRACTS)
def test_lint_fails_on(file: str, line: str, contract: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "operator", tmp_path / "operator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "operator" / file).open("a") as module:
        module.write(f"\n{line}\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "operator")},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    broken = {text.partition(" BROKEN")[0] for text in done.stdout.splitlines() if " BROKEN" in text}
    assert contract in broken, done.stdout + done.stderr
