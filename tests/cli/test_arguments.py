"""What the plug-in takes, before any cluster is asked."""

import subprocess
import sys

import pytest

from csr_operator.cli import main
from csr_operator.cli.arguments import parse

COMMANDS = {"status", "inspect", "renew", "revoke", "approve", "deny", "import", "export", "verify", "adopt"}


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert set(capsys.readouterr().out.split()) >= COMMANDS


def test_help_imports_no_client_and_no_cryptography() -> None:
    """Which is what makes it quick."""
    code = (
        "import sys\nfrom csr_operator.cli import main\ntry:\n    main(['--help'])\nfinally:\n"
        "    print({'kopf', 'kubernetes', 'aiohttp', 'cryptography', 'yaml'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_no_command_imports_kopf() -> None:
    code = "import sys, csr_operator.cli.run\nprint('kopf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["stauts"], "invalid choice: 'stauts'"),
        (["inspect"], "required: NAME"),
        (["status", "Www"], "'Www' is no name"),
        (["status", "../secrets"], "'../secrets' is no name"),
        (["status", "www", "-l", "a=b"], "not both"),
        (["status", "www", "-A"], "not both"),
        (["status", "-n", "a", "-A"], "-n and -A"),
        (["status", "-o", "wide"], "invalid choice: 'wide'"),
        (["renew"], "name a request"),
        (["renew", "-A"], "name a request"),
        (["renew", "www", "--all"], "not both"),
        (["renew", "--all", "-l", "a=b"], "exclude each other"),
        (["renew", "www", "--wait", "--timeout", "soon"], "'soon' is no duration"),
        (["verify"], "name a request"),
        (["deny", "www"], "required: --message"),
        (["import", "www"], "required: FILE"),
        (["export", "www", "--ca", "--chain"], "not allowed with"),
        (["revoke", "www", "--all"], "unrecognized arguments: --all"),
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
    assert parse(["status", name]).name == "www"


def test_the_connection_may_be_given_before_and_after_the_command() -> None:
    before, after = parse(["-n", "shop", "--context", "c", "renew", "a", "b"]), parse(["renew", "a", "b", "-n", "shop"])
    assert (before.namespace, before.context, before.names) == ("shop", "c", ["a", "b"])
    assert (after.namespace, after.context, after.names) == ("shop", None, ["a", "b"])
