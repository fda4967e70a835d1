"""What can go wrong, said so that it can be put right."""

from pathlib import Path


class DevclusterError(Exception):
    """The control plane could not be built or started; the text names the part and shows its log's end."""


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log, indented, or a word that there are none."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        text = []
    return "\n".join(f"  {line}" for line in text or ["(no output)"])
