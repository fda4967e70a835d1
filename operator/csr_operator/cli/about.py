"""`version`: which version of the plug-in this is."""

from csr_operator.version import version

from .output import Report, show


def show_version(form: str) -> int:
    """form: `table`, `json` or `yaml`. Returns the exit status."""
    show(Report({"version": version()}, f"kubectl-csr {version()}"), form)
    return 0
