"""The metadata of Secrets, in which the operator keeps its state, as whoever may write them leaves it.

May raise nothing. Without a code that verifies, nothing counts of what the operator alone writes; with one (a fuzzer
has none, so that it is computed), whatever is in it is read or counts as absent.
"""

from typing import Any

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import OWED_ANNOTATION, RENEWAL_WINDOW_ANNOTATION, REVOKED_ANNOTATION, SEAL_ANNOTATION
from csr_operator.api.parse_secret import parse_secret_meta, parse_staged
from csr_operator.api.seal import Seal, record_parts, staged_parts
from fuzz.targets.request import read_object

SHAPE = "json"

_SEAL, _OTHER = Seal([b"k" * 32]), Seal([b"o" * 32])
_KEY = SecretKey("team-a", "www")


def fuzz(data: bytes) -> None:
    obj = _as_the_server_sends_it(read_object(data, "Secret"))
    forged = parse_secret_meta(obj, _OTHER)
    assert forged.record is None
    assert not forged.debts
    order = parse_staged(obj, _OTHER)
    assert order is None or not order.authentic
    for seal in (None, _SEAL):
        _sealed(obj["metadata"])
        meta = parse_secret_meta(obj, seal)
        assert meta.key == _KEY
        hash(meta.essence)
    owners = obj["metadata"]["ownerReferences"]
    owner = owners[0]["uid"] if owners else obj["metadata"]["annotations"].get("csr-operator.dev/order-of", "")
    annotations = obj["metadata"]["annotations"]
    annotations[SEAL_ANNOTATION] = _SEAL.code("order", *staged_parts(_KEY, owner, annotations))
    for seal in (None, _SEAL):
        order = parse_staged(obj, seal)
        if order is not None:
            hash(order.essence)
            assert order.setback is None or type(order.setback).read(order.setback.text) == order.setback


def _sealed(metadata: dict[str, Any]) -> None:
    """Each annotation with the code that the operator would have put there."""
    annotations = metadata["annotations"]
    annotations[SEAL_ANNOTATION] = _SEAL.code("record", *record_parts(_KEY, annotations))
    debts = annotations.get(OWED_ANNOTATION, "")
    annotations[OWED_ANNOTATION] = f"{_SEAL.code('debts', *_KEY, debts)} {debts}"
    serial, _, times = annotations.get(RENEWAL_WINDOW_ANNOTATION, "").partition(" ")
    annotations[RENEWAL_WINDOW_ANNOTATION] = f"{serial} {times} {_SEAL.code('window', *_KEY, serial, times)}"
    revoked = annotations.get(REVOKED_ANNOTATION, "")
    annotations[REVOKED_ANNOTATION] = f"{revoked} {_SEAL.code('revoked', *_KEY, revoked)}"


def _as_the_server_sends_it(obj: dict[str, Any]) -> dict[str, Any]:
    """ObjectMeta is of the types that k8s.io/apimachinery has; what is in `fieldsV1` is a tree of maps."""
    metadata = obj["metadata"]

    def items(name: str) -> list[dict[str, Any]]:
        value = metadata.get(name)
        return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []

    def texts(name: str) -> dict[str, str]:
        value = metadata.get(name)
        return {str(k): v for k, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}

    finalizers = metadata.get("finalizers")
    return {
        "metadata": {
            **{name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **({"deletionTimestamp": "2026-01-02T00:00:00Z"} if metadata.get("deletionTimestamp") else {}),
            "annotations": texts("annotations"),
            "labels": texts("labels"),
            "finalizers": [f for f in finalizers if isinstance(f, str)] if isinstance(finalizers, list) else [],
            "ownerReferences": [
                {
                    **{name: str(entry.get(name, "")) for name in ("apiVersion", "kind", "name", "uid")},
                    **({"controller": True} if entry.get("controller") is True else {}),
                }
                for entry in items("ownerReferences")
            ],
            "managedFields": [
                {
                    **{name: str(entry[name]) for name in ("manager", "operation") if name in entry},
                    "fieldsV1": _maps(entry.get("fieldsV1")),
                }
                for entry in items("managedFields")
            ],
        }
    }


def _maps(value: Any) -> dict[str, Any]:
    return {str(name): _maps(below) for name, below in value.items()} if isinstance(value, dict) else {}
