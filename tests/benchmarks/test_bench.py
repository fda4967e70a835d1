"""`python -m benchmarks` measures what its table says, and fails when it could not."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.slow("runs benchmarks")

ROOT = Path(__file__).parents[2]


def test_every_request_of_a_small_run_becomes_ready_and_is_in_the_table() -> None:
    """Writes per certificate are whole numbers only if nothing failed, was repeated or is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "-n", "20", "--rounds", "1", "--restart"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    numbers = dict(re.findall(r"^ *(\S.*?)  +(\d+(?:\.\d+)?)(?: .*)?$", done.stdout, re.MULTILINE))
    assert float(numbers["patch secrets"]) == 1
    assert float(numbers["patch certificaterequests/status"]) == 1
    assert float(numbers["writes"]) == 0
    assert float(numbers["with the operator          certificates/s"]) > 0


def test_isolation_is_measured_as_a_ratio() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.isolation", "-n", "4", "--rounds", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    rounds = re.findall(r"^  round \d +([\d.]+) +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    assert len(rounds) == 2
    assert re.search(r"^median of the ratios +\d+\.\d\d$", done.stdout, re.MULTILINE)


def test_orders_that_stay_pending_cost_no_write() -> None:
    """The exit status is 1 if anything was written, or anything changed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pending", "-n", "10", "--days", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^  day 1 +\d+ +0 +\d+$", done.stdout, re.MULTILINE)


def test_three_replicas_write_what_one_does() -> None:
    """The exit status is 1 if they wrote more, or two of them wrote to one request."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.replicas", "-n", "12", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^  round 1 +3 +[\d.]+ +[\d.]+ +2\.00 +[\d.]+ +\d+$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("vendor", ["digicert", "sectigo"])
def test_an_operator_that_waits_writes_nothing(vendor: str) -> None:
    """The exit status is 1 if it wrote anything but events."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.waiting", vendor, "-n", "6", "--days", "0.2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^days of nothing +[1-9]\d* calls, writes: none;", done.stdout, re.MULTILINE)
    assert re.search(r"^restart +[1-9]\d* calls, writes: none;", done.stdout, re.MULTILINE)


def test_growth_is_measured_and_drawn(tmp_path: Path) -> None:
    """The exit status is 1 if there were more than two writes for each, or the restart wrote."""
    drawn = tmp_path / "growth.svg"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "-n", "5", "15", "--svg", str(drawn)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^ +15 .* 2\.00\+0$", done.stdout, re.MULTILINE)
    assert ElementTree.parse(drawn).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_what_comes_due_together_is_renewed_within_the_limit_of_its_issuer() -> None:
    """The exit status is 1 if it was not, or if anything expired, or was renewed twice."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.storm", "-n", "20", "--per-minute", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^perMinute: 1 +20 ", done.stdout, re.MULTILINE)


def test_secrets_of_others_are_not_listed() -> None:
    """The exit status is 1 if they were."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.foreign", "-n", "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^start after .* 1 pages of Secrets listed$", done.stdout, re.MULTILINE)
