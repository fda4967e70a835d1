"""Which version this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """That of the installed distribution, such as `0.1.0`; `unknown` if it runs without having been installed."""
    try:
        return installed("csr-operator")
    except PackageNotFoundError:
        return "unknown"


def user_agent() -> str:
    """What CAs and other servers are told is calling them, such as `csr-operator/0.1.0`."""
    return f"csr-operator/{version()}"
