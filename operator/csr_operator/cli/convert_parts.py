"""What the conversions of certificates and of issuers share."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from csr_operator.api.names import API_VERSION
from csr_operator.api.times import parse_duration

from .review import span_words

CREDENTIAL_LABEL = "csr-operator.dev/allow-credential=true"

_DURATION = re.compile(r"([0-9]{1,6}(\.[0-9]{1,6})?h)?([0-9]{1,7}(\.[0-9]{1,6})?m)?([0-9]{1,9}s)?")
_DAYS = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?)d")


class Notes:
    """What is to be known of one object: about its fields, in the order in which it was found."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        if text not in self._texts:
            self._texts.append(text)

    def left_out(self, field: str, why: str) -> None:
        self.add(f"{field}: left out: {why}")

    def lines(self, title: str) -> tuple[str, ...]:
        return (title, *(f"- {text}" for text in self._texts))


def fields(raw: Any, name: str) -> Mapping[str, Any]:
    """A part of an object; empty if it is none."""
    value = raw.get(name) if isinstance(raw, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(raw: Mapping[str, Any], name: str) -> list[Any]:
    """A list in an object; empty if it is none."""
    value = raw.get(name)
    return value if isinstance(value, list) else []


def head(document: Mapping[str, Any], kind: str, notes: Notes) -> dict[str, Any]:
    """apiVersion, kind and metadata of what takes the place of `document`."""
    metadata = fields(document, "metadata")
    kept = {name: metadata[name] for name in ("name", "namespace") if metadata.get(name)}
    if metadata.get("generateName") and "name" not in kept:
        notes.add("metadata.generateName: a name is needed: kubectl create makes one, kubectl apply does not")
        kept["generateName"] = metadata["generateName"]
    if labels := fields(metadata, "labels"):
        kept["labels"] = dict(labels)
    annotations = {
        name: value
        for name, value in fields(metadata, "annotations").items()
        if name != "kubectl.kubernetes.io/last-applied-configuration"
    }
    for name in [name for name in annotations if "cert-manager.io/" in name]:
        notes.left_out(f"the annotation {name}", "it means something to cert-manager alone")
        del annotations[name]
    if annotations:
        kept["annotations"] = annotations
    for owner in items(metadata, "ownerReferences"):
        if isinstance(owner, Mapping):
            notes.left_out(
                "metadata.ownerReferences",
                f"{owner.get('kind')} {owner.get('name')} had it made, and would delete it; its annotations for "
                "cert-manager have to go",
            )
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": kept}


def duration(text: Any, field: str, notes: Notes) -> str | None:
    """As our fields take it; None, with a note, for what is no length of time."""
    given = str(text).strip()
    if given and _DURATION.fullmatch(given):
        return given
    if days := _DAYS.fullmatch(given):
        hours = f"{float(days[1]) * 24:g}h"
        notes.add(f"{field}: {given} is written as {hours}")
        return hours
    try:
        return span_words(parse_duration(given))
    except (ValueError, OverflowError):
        notes.left_out(field, f"{given!r} is not a duration such as 2160h or 1h30m")
        return None


def rest(raw: Mapping[str, Any], known: Iterable[str], where: str, notes: Notes) -> None:
    """A note on each field that nobody has looked at."""
    for name in raw.keys() - set(known):
        notes.left_out(f"{where}.{name}", "it is not known here")
