"""docs/kubectl-csr.md knows every command and option, and no other."""

import argparse
import re
from pathlib import Path

from csr_operator.cli.arguments import make_parser
from csr_operator.cli.reasons import Unsaid

PAGE = (Path(__file__).parents[2] / "docs" / "kubectl-csr.md").read_text()


def _commands(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (commands,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    return dict(commands.choices)


def test_every_command_and_option_is_documented_and_no_other() -> None:
    top = make_parser()
    commands = _commands(top)
    options = {
        option
        for command in (top, *commands.values())
        for action in command._actions
        if not isinstance(action, argparse._HelpAction)
        for option in action.option_strings
    }
    text = re.sub(r"^\$ (?!kubectl csr).*$", "", PAGE, flags=re.MULTILINE)  # what other programs take
    text = re.sub(r"^kubectl csr --help$|get -o name", "", text, flags=re.MULTILINE)
    text = re.sub(r"jq -r", "", text)
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+|-[a-zA-Z])(?![\w-])", text)) == options
    table = PAGE.split("\n## ", 1)[0]
    assert set(re.findall(r"`([a-z]+) ?[\[A-Z.\]]*(?: FILE)?`\]", table)) == commands.keys()


def test_the_reasons_that_the_operator_cannot_give_are_documented() -> None:
    section = PAGE.split("\n## status\n", 1)[1].split("\n## ", 1)[0]
    documented = set(re.findall(r"^\| `([A-Z]\w+)` \|", section, re.MULTILINE))
    assert documented == {*Unsaid}
