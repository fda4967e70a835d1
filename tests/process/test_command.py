"""What `csr-operator` says of itself, and how it writes its log."""

import json
import logging
import os
import subprocess
import sys
from importlib import metadata

import pytest

from csr_operator.__main__ import main
from csr_operator.manager.logs import JsonFormatter


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is answered by the arguments alone."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert end.value.code == 0
    return capsys.readouterr().out


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert _said(capsys, "--version") == f"csr-operator {metadata.version('csr-operator')}\n"


def test_help_shows_the_defaults_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    said = _said(capsys, "run", "--help")

    assert "(default: 127.0.0.1:8081)" in " ".join(said.split())
    assert "None" not in said
    assert "[]" not in said.replace("[-h]", "")


def test_a_line_of_the_log_as_json() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("a.b", logging.WARNING, "file", 1, 'say "%s"', ("\n",), sys.exc_info())

    text = JsonFormatter().format(record)

    assert len(text.splitlines()) == 1
    line = json.loads(text)
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["logger"], line["message"]) == ("warning", "a.b", 'say "\n"')
    assert "ValueError" in line["exception"]


@pytest.mark.slow("starts the operator, imports and all")
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_formats_of_the_log(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "csr_operator", "run", "--log-format", form],
        env={**os.environ, "KUBECONFIG": "/nonexistent"},
        capture_output=True,
        text=True,
    )

    first, *_, last = done.stderr.splitlines()
    assert metadata.version("csr-operator") in first
    assert "KUBECONFIG" in (json.loads(last)["message"] if form == "json" else last)
