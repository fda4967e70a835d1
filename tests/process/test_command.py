"""What `csr-operator` says of itself, and how it writes its log."""

import json
import logging
import os
import subprocess
import sys
from importlib import metadata

import pytest

from csr_operator.__main__ import main
from csr_operator.manager.logs import JsonFormatter, TextFormatter
from csr_operator.pki.keys import KeyAlgorithm, KeyEncoding, KeyParameters, generate, private_key_pem


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


UGLY = "a\0b\n2026-01-01 00:00:00,000 ERROR forged: \x1b[31m\u202e"


def _formatted(formatter: logging.Formatter, message: str, error: Exception) -> str:
    try:
        raise error
    except Exception:
        return formatter.format(logging.LogRecord("a.b", logging.ERROR, "file", 1, message, (), sys.exc_info()))


def test_no_text_of_others_looks_like_a_line_of_the_log() -> None:
    first, *others = _formatted(TextFormatter(), UGLY, ValueError(UGLY)).split("\n")

    assert first.endswith(r" ERROR a.b: a\x00b\n2026-01-01 00:00:00,000 ERROR forged: \x1b[31m\u202e")
    assert others[0] == "    Traceback (most recent call last):"
    assert others[-2:] == [r"    ValueError: a\x00b", r"    2026-01-01 00:00:00,000 ERROR forged: \x1b[31m\u202e"]
    assert all(line.startswith("    ") and line.isprintable() for line in others)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
@pytest.mark.parametrize("text", ["x" * 10_000_000, "x\n" * 1_000_000], ids=["one line", "many lines"])
def test_a_huge_text_does_not_fill_the_log(formatter: logging.Formatter, text: str) -> None:
    written = _formatted(formatter, text, ValueError(text))

    assert len(written) < 200_000
    assert "Traceback" in written


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_no_private_key_is_written(formatter: logging.Formatter) -> None:
    """Not in a message, and not in the text of an error that a library of a backend raised."""
    key = private_key_pem(generate(KeyParameters(KeyAlgorithm.ECDSA)), KeyEncoding.PKCS8).decode().strip()
    written = _formatted(formatter, f"cannot read {key} here", ExceptionGroup("several", [ValueError(f"at {key}!")]))

    assert not any(line in written for line in key.split("\n"))
    assert "cannot read *** here" in written
    assert "at ***!" in written


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
