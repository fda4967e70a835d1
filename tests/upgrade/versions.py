"""Versions of the operator that this one was changed from, taken out of the repository's own history."""

import io
import os
import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.third_party import write_metadata

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Written:
    """What is written where one version takes over what another has left: names of requests, each as often as it is.

    No certificate is issued again in any case. words: for the guide.
    """

    words: str = "0 writes"
    statuses: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Of each request its Secret; that of an order ends in `-order`."""
    requests: tuple[str, ...] = ()
    """But for their status."""
    issuers: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    once_more: tuple[str, ...] = ()
    """Of which requests the Secret may be written once more: which issuer is checked first decides that."""
    in_vain: tuple[str, ...] = ()
    """For which requests the CA is asked, and what it signs is dropped."""
    octets: bool = False
    """One of them shows serial numbers in whole octets: of those that are kept otherwise, the status is written."""


@dataclass(frozen=True, slots=True)
class Version:
    """words: how it differs from what came next. without: the options that it did not have. reasons: by what is held,
    those that it gave where others are given now."""

    words: str
    upgrade: Written = Written()
    back: Written = Written()
    without: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)


def _both(*names: str) -> tuple[str, ...]:
    """Of the requests of both versions."""
    return tuple(f"{prefix}-{name}" for prefix in ("old", "new") for name in names)


def _old(*names: str) -> tuple[str, ...]:
    return tuple(f"old-{name}" for name in names)


_SIGNED = (
    *("root", "marker-old"),
    *_old("plain", "alone", "kept", "same-key", "below", "stores", "second-choice", "revocable", "renewed", "revoked"),
    *_old("own", "left"),
)
_REWORDED = ("by-hand", "foreign", "refused", "unapproved", "without-issuer")
_DATED_BACK = ("alone", "left", "revocable", "revoked")
_OTHER_WORDS = "Conditions, events and an issuer's status have other words"
_ZEROS = "some serial numbers in status have one zero more or less"
_IN_VAIN = "Where a Secret is somebody else's, the CA signs a certificate that is dropped."

VERSIONS = {
    "f576dce": Version(
        "before what the operator keeps was sealed",
        upgrade=Written(
            "Every Secret of a certificate is sealed: 1 write, and 1 of the status. An order under way is abandoned, "
            "and another one made. A revocation that is owed is forgotten, with an event. "
            f"{_OTHER_WORDS}, and {_ZEROS}.",
            statuses=(*_SIGNED, *_old(*_REWORDED)),
            secrets=(*_SIGNED, *_old("left", "by-hand-order", "by-hand-order")),
            once_more=_old("left"),
            requests=_old("left"),
            issuers=("person",),
            events=_old(*_REWORDED, "by-hand", "left"),
        ),
        back=Written(
            f"{_OTHER_WORDS}, and renewal is minutes earlier where a certificate is dated back. A revocation that is "
            f"owed is forgotten. {_IN_VAIN}",
            statuses=(
                *_both(*_REWORDED, "second-choice"),
                *(f"new-{name}" for name in _DATED_BACK),
            ),
            requests=("new-left",),
            issuers=("person",),
            events=_both(*_REWORDED),
            in_vain=_both("foreign"),
        ),
        without=frozenset(("--probe-address",)),
        reasons={"by-hand": "Pending"},
    ),
    "ad9f82e": Version(
        "before the Secret of a request that revokes when it is deleted waited for that",
        upgrade=Written(
            "The Secret of each request with `revocation.onDelete` gets a finalizer: 1 write. "
            f"{_OTHER_WORDS}, and {_ZEROS}.",
            statuses=_old(*_REWORDED, "left", "second-choice"),
            secrets=_old("revocable", "revoked"),
            issuers=("person",),
            events=_old(*_REWORDED, "left"),
            octets=True,
        ),
        back=Written(
            f"{_OTHER_WORDS}, and {_ZEROS}. {_IN_VAIN}",
            statuses=_both(*_REWORDED, "left", "second-choice"),
            issuers=("person",),
            events=_both(*_REWORDED, "left"),
            in_vain=_both("foreign"),
            octets=True,
        ),
        reasons={"by-hand": "Pending"},
    ),
    "eaab0b8": Version(
        "before a condition said which issuer of several had signed",
        upgrade=Written(
            "4 conditions have other words, 3 of them with an event.",
            statuses=_old("by-hand", "foreign", "second-choice", "without-issuer"),
            events=_old("by-hand", "foreign", "without-issuer"),
        ),
        back=Written(
            "The same conditions and events.",
            statuses=_both("by-hand", "foreign", "second-choice", "without-issuer"),
            events=_both("by-hand", "foreign", "without-issuer"),
        ),
        reasons={"by-hand": "Pending"},
    ),
    "ac556e8": Version("before tests were ordered by what they are of; the operator's modules in one folder"),
    "1105f3d": Version("before the modules were put in rooms, and the definitions of issuers made from parts"),
    "f40f9e6": Version("before what is watched was one table, and each answer of a backend was checked in one place"),
    "1526ed3": Version("before several replicas shared the requests"),
}
"""By commit, oldest first. `docs/operations.md` lists them."""

TESTED = VERSIONS if os.environ.get("UPGRADE_FROM") == "all" else [next(iter(VERSIONS)), next(reversed(VERSIONS))]
"""A row takes half a minute."""


def is_there(commit: str) -> bool:
    """This clone has that commit: a shallow one has not, and what was unpacked from an archive has none."""
    if shutil.which("git") is None:
        return False
    command = ["git", "-C", str(ROOT), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True).returncode == 0


def unpack(commit: str, folder: Path) -> Path:
    """Its packages, with the names of its backends; returns the folder in `folder` that they can be imported from."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "operator", "pyproject.toml"]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    code = folder / "operator"
    write_metadata(tomllib.loads((folder / "pyproject.toml").read_text())["project"], code)
    return code
