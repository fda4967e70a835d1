"""`python -m demo`: from a self-signed root to a Secret that Nginx serves, on the control plane of `devcluster run`.

`python -m demo acme`: an account, a challenge and a certificate of a CA that speaks ACME.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

from demo.acme import AcmeStory
from demo.stage import Stage
from demo.story import Story
from demo.terminal import DemoFailed, Terminal

_TOOLS = {"nginx": "nginx-light", "openssl": "openssl"}
_CONTEXT = "devcluster"


def main() -> int:
    """Tell the story; return the exit status: 0, or 1 where a step failed."""
    stories: dict[str, type[Stage]] = {"first": Story, "acme": AcmeStory}
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.partition("\n")[0])
    parser.add_argument("story", nargs="?", choices=stories, default="first", help="acme: by ACME, from Pebble")
    arguments = parser.parse_args()
    for signum in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, _stop)
    try:
        _check_tools()
        _check_cluster()
        with stories[arguments.story](Terminal(sys.stdout)) as story:
            story.tell()
    except DemoFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; what it had started has ended", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _check_tools() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        packages = " ".join(_TOOLS[tool] for tool in missing)
        raise DemoFailed(
            f"{' and '.join(missing)} not found on PATH. `make demo` sees to that; by hand: "
            f"sudo apt-get install --no-install-recommends {packages}\n"
            "(Debian then starts Nginx as a service, and keeps it in /usr/sbin, where only root's PATH looks.)"
        )


def _check_cluster() -> None:
    # It would leave a CA and more behind in a cluster that somebody uses.
    if shutil.which("kubectl") is None:
        raise DemoFailed("no kubectl on PATH; devcluster brings one: make demo")
    done = subprocess.run(["kubectl", "config", "current-context"], capture_output=True, text=True, check=False)
    if done.stdout.strip() != _CONTEXT:
        raise DemoFailed("the demo runs only on a control plane of its own: make demo")


def _stop(signum: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
