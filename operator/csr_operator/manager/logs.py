"""How the log is written: as text, or as one JSON object a line.

Others have a say in what is in it: texts of CAs, and of the errors of their backends. They make no line look like one
of the operator's own, change nothing of the terminal that shows it, and do not fill the disk. A private key that is in
one of them is left out.
"""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from csr_operator.plugin.text import hide_keys

_LONGEST_MESSAGE, _LONGEST_LINE = 8192, 500
_MOST_LINES = 200
"""Of a traceback. Of a longer one the middle is left out."""

FORMATS = ("text", "json")


def configure(level: str, form: str) -> None:
    """level: as logging names it, in any case. form: one of FORMATS."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper())
    logging.getLogger("kopf").setLevel(logging.WARNING)  # what it tells of its own start and end


class TextFormatter(logging.Formatter):
    """Time, level, logger and message in one line, and the traceback, if there is one, in indented lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        lines = [f"{self.formatTime(record)} {record.levelname} {record.name}: {_escape(_message(record))}"]
        if record.exc_info:
            # Indented, as the text of an error has line ends as well.
            lines += (
                f"    {_escape(line)}" for line in _bounded_lines(hide_keys(self.formatException(record.exc_info)))
            )
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """Time (RFC 3339, UTC), level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if record.exc_info:
            line["exception"] = "\n".join(_bounded_lines(hide_keys(self.formatException(record.exc_info))))
        return json.dumps(line)


def _message(record: logging.LogRecord) -> str:
    return hide_keys(_cut(record.getMessage(), _LONGEST_MESSAGE))


def _bounded_lines(text: str) -> Iterator[str]:
    lines = text.split("\n")
    left_out = len(lines) - _MOST_LINES
    if left_out > 0:
        half = _MOST_LINES // 2
        lines = [*lines[:half], f"... {left_out} lines are left out ...", *lines[-half:]]
    return (_cut(line, _LONGEST_LINE) for line in lines)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _escape(text: str) -> str:
    """As Python writes what cannot be printed: controls, line ends, what changes the direction of writing."""
    if text.isprintable():  # nearly always, and each certificate has a line
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
