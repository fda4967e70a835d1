"""Where targets and their inputs are."""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target. What found a fault stays there, in a file that is named after the fault."""

_TARGETS = Path(__file__).parent / "targets"


def target_names() -> list[str]:
    """All, in order."""
    return sorted(path.stem for path in _TARGETS.glob("*.py") if path.stem != "__init__")


def inputs_of(target: str) -> list[Path]:
    """The files of its corpus, in order."""
    return sorted((CORPUS / target).iterdir())
