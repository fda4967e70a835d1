"""What the reader sees: headings, sentences, commands and what they printed."""

import os
import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TextIO

TOP = Path(__file__).parents[1]

_WIDTH = 96
# How a dump of bytes begins and how it goes on: in hexadecimal as openssl prints keys, as it prints session tickets,
# and in the base64 of PEM.
_DUMPS = [
    (re.compile(begin), re.compile(further))
    for begin, further in (
        (r" *([0-9a-f]{2}:){10,}([0-9a-f]{2})?", r" *[0-9a-f]{2}(:[0-9a-f]{2})*:?"),
        (r" *[0-9a-f]{4} - .*", r" *[0-9a-f]{4} - .*"),
        (r" *[A-Za-z0-9+/]{64}", r" *[A-Za-z0-9+/]+={0,2}"),
    )
]
_SHORTEST_FOLD = 4


class DemoFailed(Exception):
    """A step did not do what the story says; the text names it."""


class Terminal:
    """Commands run by sh, in the folder of the checkout."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bold, self._dim, self._plain = ("\033[1m", "\033[2m", "\033[0m") if _colours(out) else ("", "", "")
        self._step = 0

    def heading(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self.line(f"\n{self._bold}{self._step}. {text}{self._plain}")

    def say(self, text: str) -> None:
        """A paragraph, wrapped."""
        self.line("\n" + textwrap.fill(" ".join(text.split()), _WIDTH, break_on_hyphens=False))

    def line(self, text: str) -> None:
        """A line as it is."""
        print(text, file=self._out, flush=True)

    def show(self, command: str, env: Mapping[str, str]) -> str:
        """Print a command, run it, print what it said and return that; DemoFailed if its status is not 0.

        Dumps of bytes are folded on the screen, not in what is returned.
        """
        self.line(f"\n{self._bold}$ {command}{self._plain}")
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=TOP,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        for line in fold(done.stdout.splitlines()):
            self.line(f"{self._dim}{line}{self._plain}")
        if done.returncode != 0:
            raise DemoFailed(f"this command ended with status {done.returncode}: {command}")
        return done.stdout


def fold(lines: Sequence[str]) -> Iterator[str]:
    """The lines with each dump of bytes cut down to its first line and a count of the others."""
    at = 0
    while at < len(lines):
        first, length = lines[at], _dump_length(lines[at:])
        yield first
        if length >= _SHORTEST_FOLD:
            indent = " " * (len(first) - len(first.lstrip()))
            yield f"{indent}[... {length - 1} more lines]"
            at += length
        else:
            at += 1


def _dump_length(lines: Sequence[str]) -> int:
    """How many lines of a dump the lines begin with."""
    for begin, further in _DUMPS:
        if begin.fullmatch(lines[0]):
            return 1 + sum(1 for _ in takewhile(further.fullmatch, lines[1:]))
    return 0


def _colours(out: TextIO) -> bool:
    # https://no-color.org
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
