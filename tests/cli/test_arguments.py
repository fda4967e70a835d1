"""What the plug-in takes, before any cluster is asked."""

import json
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from csr_operator import cli
from csr_operator.api import names
from csr_operator.cli import main
from csr_operator.cli.arguments import REVOCATION_REASONS, parse

COMMANDS = {
    *("status", "inspect", "renew", "revoke", "approve", "deny", "import", "export", "verify", "adopt", "convert"),
    "version",
}


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert set(capsys.readouterr().out.split()) >= COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_a_command_has_an_example_that_is_accepted(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    [example] = re.findall(r"^example: kubectl csr ([^>\n]*)", capsys.readouterr().out, re.MULTILINE)
    assert parse(shlex.split(example)).command == command


def test_help_imports_no_client_and_no_cryptography() -> None:
    """Which is what makes it quick."""
    code = (
        "import sys\nfrom csr_operator.cli import main\ntry:\n    main(['--help'])\nfinally:\n"
        "    print({'kopf', 'kubernetes', 'aiohttp', 'cryptography', 'yaml'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_no_command_imports_kopf() -> None:
    modules = [f"csr_operator.cli.{file.stem}" for file in Path(cli.__file__).parent.glob("*.py")]
    code = f"import sys, {', '.join(modules)}\nprint('kopf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stauts"], "invalid choice: 'stauts'"),
        (["inspect"], "required: NAME"),
        (["status", "Www"], "'Www' is not a name"),
        (["status", "../secrets"], "'../secrets' is not a name"),
        (["status", "www", "-l", "a=b"], "not both"),
        (["status", "www", "-A"], "not both"),
        (["status", "-n", "a", "-A"], "-n and -A"),
        (["status", "-o", "wide"], "invalid choice: 'wide'"),
        (["renew"], "name a request"),
        (["renew", "-A"], "name a request"),
        (["renew", "www", "--all"], "not both"),
        (["renew", "--all", "-l", "a=b"], "exclude each other"),
        (["renew", "www", "--wait", "--timeout", "soon"], "'soon' is not a duration"),
        (["verify"], "name a request"),
        (["deny", "www"], "required: --message"),
        (["import", "www"], "required: FILE"),
        (["export", "www", "--ca", "--chain"], "not allowed with"),
        (["revoke", "www", "--all"], "unrecognized arguments: --all"),
        (["revoke", "www", "--reason", "certificateHold"], "invalid choice: 'certificateHold'"),
        (["approve", "a", "b", "--generation", "1"], "--generation is that of one request"),
        (["export", "a", "b"], "name one request"),
        (["import", "a", "b", "FILE"], "name one request"),
        (["status", "--all", "-l", "a=b"], "exclude each other"),
        (["status", "--as-group", "admins"], "--as-group goes with --as"),
        (["--as-group", "admins"], "--as-group goes with --as"),
        (["convert"], "required: -f/--filename"),
        (["export", "www", "--out", "x"], "unrecognized arguments"),
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["www", "csreq/www", "certificaterequest.csr-operator.dev/www"])
def test_a_name_may_be_as_kubectl_prints_it(name: str) -> None:
    assert parse(["status", name]).names == ["www"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["csreq", "www"], ["www"]),
        (["certificaterequests", "www", "api"], ["www", "api"]),
        (["-n", "csreq", "csreq", "www"], ["www"]),
        (["csreq"], ["csreq"]),
        (["csreq/csreq", "www"], ["csreq", "www"]),
    ],
)
def test_the_kind_may_stand_before_the_name_as_a_word(arguments: list[str], names: list[str]) -> None:
    assert parse(["renew", *arguments]).names == names


@pytest.mark.parametrize(("command", "operands"), [("export", "NAME"), ("import", "NAME FILE")])
def test_what_takes_one_request_says_so(command: str, operands: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: kubectl csr {command} [options] {operands}\n")


def test_the_kind_may_stand_before_the_name_of_an_import() -> None:
    options = parse(["import", "csreq", "www", "chain.pem"])
    assert (options.names, options.file) == (["www"], "chain.pem")


def test_without_a_command_it_is_helped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    words = capsys.readouterr().out
    assert set(words.split()) >= COMMANDS
    assert "kubectl get csr" in words  # which is something else


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_the_version_is_that_of_the_installed_distribution(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"kubectl-csr {metadata.version('csr-operator')}\n"
    assert main(["version", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": metadata.version("csr-operator")}


def test_the_reasons_to_revoke_are_those_that_the_operator_knows() -> None:
    assert REVOCATION_REASONS == names.REVOCATION_REASONS


def test_the_connection_may_be_given_before_and_after_the_command() -> None:
    before, after = parse(["-n", "shop", "--context", "c", "renew", "a", "b"]), parse(["renew", "a", "b", "-n", "shop"])
    assert (before.namespace, before.context, before.names) == ("shop", "c", ["a", "b"])
    assert (after.namespace, after.context, after.names) == ("shop", None, ["a", "b"])
