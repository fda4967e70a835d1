"""From the objects of cert-manager (`cert-manager.io/v1`) to ours: pure, from documents to documents.

What has no counterpart is not dropped in silence: it becomes a comment above the object. cert-manager's API is at
https://cert-manager.io/docs/reference/api-docs/.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .convert_certificates import certificate
from .convert_issuers import issuer
from .convert_parts import Notes, fields
from .output import as_yaml

_GROUP = "cert-manager.io"
_SHIM = ("cert-manager.io/issuer", "cert-manager.io/cluster-issuer", "kubernetes.io/tls-acme")
_INJECTION = ("cert-manager.io/inject-ca-from", "cert-manager.io/inject-ca-from-secret")
_ATTEMPTS = frozenset(("CertificateRequest", "Order", "Challenge"))


class Converted(NamedTuple):
    """An object of ours, or None for what there is none of; and a line each on what is to be known of it."""

    obj: dict[str, Any] | None
    notes: tuple[str, ...]


def convert(documents: Iterable[Any]) -> Iterator[Converted]:
    """One for each object of the documents; those of a `List` are taken one by one."""
    for document in documents:
        if not isinstance(document, Mapping):
            if document is not None:
                yield Converted(None, ("a document that is not an object of Kubernetes: left out",))
        elif isinstance(document.get("items"), list) and str(document.get("kind", "")).endswith("List"):
            yield from convert(document["items"])
        else:
            yield _convert_document(_plain(document))


def _plain(value: Any) -> Any:
    """As JSON has it: names are text, and so are dates, which YAML makes of what looks like one."""
    if isinstance(value, Mapping):
        return {str(name): _plain(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _convert_document(document: Mapping[str, Any]) -> Converted:
    version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
    group, _, number = version.rpartition("/")
    name, notes = _title(document, kind), Notes()
    if group.endswith(_GROUP) and kind in _ATTEMPTS:
        return Converted(None, (f"{name}: left out, as cert-manager makes it, for one attempt",))
    if group != _GROUP:
        return Converted(None, (f"{name} ({version or 'no apiVersion'}): left out", *_of_others(document)))
    if number != "v1":
        return Converted(None, (f"{name}: left out, as it is of {version}: convert it to {_GROUP}/v1 first",))
    if kind == "Certificate":
        return Converted(certificate(document, notes), notes.lines(name))
    if kind in ("Issuer", "ClusterIssuer"):
        return Converted(issuer(document, notes), notes.lines(name))
    return Converted(None, (f"{name} ({version}): left out, as it is not known",))


def _title(document: Mapping[str, Any], kind: str) -> str:
    metadata = fields(document, "metadata")
    name = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return f"{kind or 'an object without a kind'} {name}".strip()


def _of_others(document: Mapping[str, Any]) -> Iterator[str]:
    """What cert-manager does for an object that is not its own."""
    annotations = fields(fields(document, "metadata"), "annotations")
    if any(name in annotations for name in _INJECTION):
        yield (
            "it has its caBundle from cert-manager's CA injector, which has no counterpart here: keep cert-manager for "
            "it, or write the CA into caBundle by other means"
        )
    if any(name in annotations for name in _SHIM):
        yield (
            "cert-manager makes a Certificate for it by its annotations, which has no counterpart here: write a "
            "CertificateRequest with its hosts and its secretName, and remove the annotations"
        )


def render(converted: Iterable[Converted]) -> str:
    """As YAML with comments."""
    parts = []
    for document in converted:
        comment = "".join(f"# {line}\n" for note in document.notes for line in _clean(note))
        body = as_yaml(document.obj) if document.obj is not None else ""
        parts.append(comment + body)
    return "---\n".join(parts)


def _clean(note: str) -> list[str]:
    """No text of the input ends the comment that it stands in."""
    text = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in note)
    first, *more = text.split("\n")
    return [first, *(f"  {line}" for line in more)]
