"""Building the image with `make image` and buildah, with neither a daemon nor a registry, and running it.

The base image is a Debian made by debootstrap: a minute the first time, from the cache afterwards.
"""

import ast
import contextlib
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

TOP = Path(__file__).parents[2]
SUITE = "trixie"
PACKAGES = "ca-certificates,python3,python3-venv"
# Device nodes, and what only apt reads.
LEFT_OUT = ("./dev/*", "./var/cache/apt/*", "./var/lib/apt/lists/*")


class Image:
    """The image in a storage of its own below `directory`, and one container of it."""

    def __init__(self, directory: Path) -> None:
        (directory / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{directory}/graph"\nrunroot = "{directory}/run"\n'
        )
        self._env = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        archive = _root_filesystem()
        (directory / "Dockerfile").write_text(f"FROM scratch\nADD {archive.name} /\n")
        base, name = "localhost/python-base", "localhost/csr-operator:test"
        self._buildah("build", "--file", directory / "Dockerfile", "--tag", base, archive.parent)
        arguments = [f"--build-arg PYTHON_IMAGE={base}", *_package_index(directory)]
        _run("make", "image", "BUILDER=buildah", f"IMAGE={name}", f"IMAGE_ARGS={' '.join(arguments)}", env=self._env)
        config = json.loads(self._buildah("inspect", "--type", "image", name))["OCIv1"]["config"]
        self.user: str = config["User"]
        self.entrypoint: list[str] = config["Entrypoint"]
        self.labels: dict[str, str] = config["Labels"]
        self._container = self._buildah("from", name).strip()

    def run(self, *command: str, user: str = "") -> str:
        """What a command prints in the container; AssertionError if it fails."""
        return self._buildah("run", "--user", user or self.user, self._container, "--", *command)

    @contextlib.contextmanager
    def start(
        self, arguments: list[str], *, env: Mapping[str, str], account: Path, log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The entry point as the kubelet would start it, with nothing that it could write to; killed at the end.

        account: the directory to find as the service account's.
        """
        self.run("chmod", "-R", "a-w", "/tmp", "/var/tmp", "/run/lock", user="0:0")
        options = [f"--env={name}={value}" for name, value in env.items()]
        options.append(f"--volume={account}:/run/secrets/kubernetes.io/serviceaccount:ro")
        command = ["buildah", "run", *options, self._container, "--", *self.entrypoint, *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=self._env, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _buildah(self, *arguments: str | Path) -> str:
        return _run("buildah", *arguments, env=self._env)


def _root_filesystem() -> Path:
    """A tar file with Debian and Python, from the cache, where it appears whole or not at all."""
    recipe = "\n".join((SUITE, PACKAGES, *LEFT_OUT, platform.machine()))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csr-operator" / "images"
    archive = cache / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            root, made = Path(scratch) / "root", Path(scratch) / "made.tar"
            _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root)
            _run("tar", "-C", root, *(f"--exclude={pattern}" for pattern in LEFT_OUT), "-cf", made, ".")
            made.rename(archive)
    return archive


def _package_index(directory: Path) -> list[str]:
    """This machine's own way to the package index, as the Dockerfile takes it: a pip.conf and a CA bundle."""
    wanted = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "cert"}
    settings = {}
    # Each line is section.option='value'. The environment's section, ":env:", sorts first and outweighs the files'.
    for line in sorted(_run(sys.executable, "-m", "pip", "config", "list").splitlines(), reverse=True):
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in wanted:
            settings[option] = str(ast.literal_eval(value)).replace("\n", "\n    ")
    secrets = [f"--secret id=pip.conf,src={directory}/pip.conf"]
    if bundle := settings.get("cert") or os.environ.get("SSL_CERT_FILE"):
        settings["cert"] = "/run/secrets/ca.crt"
        secrets.append(f"--secret id=ca.crt,src={bundle}")
    lines = ["[global]", *(f"{option} = {value}" for option, value in settings.items())]
    (directory / "pip.conf").write_text("\n".join(lines) + "\n")
    return secrets


def _run(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    result = subprocess.run(command, cwd=TOP, env=env, text=True, capture_output=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout
