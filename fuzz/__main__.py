"""`python -m fuzz` runs all targets one after the other, each for a minute; `python -m fuzz pem csr` these."""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from .corpus_files import CORPUS, target_names

_LIBFUZZER = ("-max_len=32768", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-reload=0")


def main() -> None:
    """Exit status 1 if one of them found something."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(target_names())}; all if none")
    parser.add_argument("--seconds", type=float, default=60, help="for each target (60)")
    parser.add_argument("--seed", type=int, default=1, help="repeats a run as far as a clock lets it (1)")
    parser.add_argument(
        "--finds", type=Path, default=_default_finds(), help="folder for new inputs and faults (%(default)s)"
    )
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("there is no Atheris for this Python and processor: nothing is fuzzed")
        return
    if unknown := {*arguments.targets} - {*target_names()}:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    failed = [
        name
        for name in arguments.targets or target_names()
        if not _run(name, arguments.seconds, arguments.seed, arguments.finds)
    ]
    if failed:
        sys.exit(f"faults were found by {', '.join(failed)}: see {arguments.finds}")


def _default_finds() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "csr-operator" / "fuzz"


def _run(name: str, seconds: float, seed: int, finds: Path) -> bool:
    folder = finds / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    print(f"{name}: {seconds:g} s, seed {seed}", flush=True)
    options = (f"-max_total_time={round(seconds)}", f"-seed={seed}", f"-artifact_prefix={folder}/")
    corpora = (folder / "corpus", CORPUS / name)
    command = (sys.executable, "-m", "fuzz.engine", name, *_LIBFUZZER, *options, *corpora)
    done = subprocess.run(command, check=False, cwd=Path(__file__).parents[1])
    return done.returncode == 0


if __name__ == "__main__":
    main()
