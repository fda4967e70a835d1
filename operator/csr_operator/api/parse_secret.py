"""From the dict of a Secret to what the operator keeps in it, as far as that is authentic."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from csr_operator.pki.fingerprint import whole_octets

from .keys import Raw, SecretKey
from .names import (
    ADOPT_ANNOTATION,
    GROUP,
    MANAGED_LABEL,
    MANAGER,
    ORDER_FINALIZER,
    ORDER_OF_ANNOTATION,
    OWED_ANNOTATION,
    RENEWAL_WINDOW_ANNOTATION,
    RETAINED_ANNOTATION,
    REVOCATION_FINALIZER,
    REVOKED_ANNOTATION,
    SEAL_ANNOTATION,
    SECRET_NAME_ANNOTATION,
    STAGING_LABEL,
)
from .request import SecretTemplate
from .revocation_debts import read_debt_summaries
from .seal import Seal, record_parts, staged_parts
from .secrets import Record, SecretMeta, Setback, Staged, Window
from .shards import shard_of


def parse_secret_meta(obj: Raw, seal: Seal | None) -> SecretMeta:
    """From a PartialObjectMetadata (or a whole Secret, of which only the metadata is kept).

    seal: without it, what stands in the annotations is believed, which is for showing it and for nothing else.
    """
    metadata = obj["metadata"]
    key = SecretKey(metadata["namespace"], metadata["name"])
    managed = metadata.get("managedFields") or ()
    owned = _owned_fields(managed)
    written, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    is_managed = labels.get(MANAGED_LABEL) == "true"
    owner_uid = owner = ""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            owner_uid, owner = reference["uid"], f"{reference['kind']} {reference['name']}"
    code, forged = written.get(SEAL_ANNOTATION, ""), []
    sealed = seal is None or seal.verifies(code, "record", *record_parts(key, written))
    claimed = Record.from_annotations(written)
    record = claimed if sealed else None
    if record is not None:
        window = _window(key, record, written.get(RENEWAL_WINDOW_ANNOTATION, ""), seal)
        record = record if window is None else replace(record, window=window)
    elif code and not sealed:
        forged.append(SEAL_ANNOTATION)
    debts = read_debt_summaries(key, written.get(OWED_ANNOTATION, ""), seal)
    if debts is None:
        forged.append(OWED_ANNOTATION)
    if record is not None and not owner_uid:
        owner = "a request that is gone"
    left_for = None
    if claimed is not None and not owner_uid and is_managed:
        left_for = written.get(RETAINED_ANNOTATION, "")
    revoked, _, revoked_code = written.get(REVOKED_ANNOTATION, "").partition(" ")
    if revoked and seal is not None and not seal.verifies(revoked_code, "revoked", *key, revoked):
        forged.append(REVOKED_ANNOTATION)
    return SecretMeta(
        namespace=key.namespace,
        name=key.name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        owner_uid=owner_uid,
        owner=owner,
        intact_data=owned.data,
        template_digest=SecretTemplate(
            _users_items(labels, owned.labels), _users_items(written, owned.annotations)
        ).digest()
        if is_managed and MANAGED_LABEL in owned.labels
        else "",
        record=record,
        # As little as an owner reference, which also says whose a Secret is, does it give anything to who sets it.
        retained_for=written.get(RETAINED_ANNOTATION, "")
        if record is not None or RETAINED_ANNOTATION in owned.annotations
        else "",
        debts=debts or (),
        guarded=REVOCATION_FINALIZER in (metadata.get("finalizers") or ()),
        deleted="deletionTimestamp" in metadata,
        changed_by=_changed_by(managed, owned.data),
        adopt=written.get(ADOPT_ANNOTATION, ""),
        left_for=left_for,
        revoked=revoked,
        issuance_hash=claimed.issuance_hash if claimed is not None else "",
        forged=tuple(forged),
    )


def shard_of_secret(obj: Raw) -> int | None:
    """That of the request which a Secret is of, by its metadata; None for an order that does not say."""
    metadata = obj["metadata"]
    if not _is_staging(metadata):
        return shard_of(metadata["namespace"], metadata["name"])
    secret_name = (metadata.get("annotations") or {}).get(SECRET_NAME_ANNOTATION, "")
    return shard_of(metadata["namespace"], secret_name) if secret_name else None


def _is_staging(metadata: Raw) -> bool:
    return bool((metadata.get("labels") or {}).get(STAGING_LABEL) == "true")


def _window(secret: SecretKey, record: Record, written: str, seal: Seal | None) -> Window | None:
    if not written:
        return None
    serial_number, _, rest = written.partition(" ")
    times, _, code = rest.partition(" ")
    if whole_octets(serial_number) != record.serial_number:
        return None  # that of another certificate
    if seal is not None and not seal.verifies(code, "window", *secret, serial_number, times):
        return None
    return Window.read(times)


def parse_staged(obj: Raw, seal: Seal | None) -> Staged | None:
    """From the metadata of a staging Secret; None if it is another Secret. seal: as for `parse_secret_meta`."""
    metadata = obj["metadata"]
    if not _is_staging(metadata):
        return None
    annotations = metadata.get("annotations") or {}
    key = SecretKey(metadata["namespace"], metadata["name"])
    owners: Sequence[Raw] = metadata.get("ownerReferences") or ()
    staged = Staged(
        namespace=key.namespace,
        name=key.name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata["creationTimestamp"],
        owner_uid=owners[0].get("uid", "") if owners else annotations.get(ORDER_OF_ANNOTATION, ""),
        issuance_hash="",
        revision=0,
        issuer="",
        csr="",
        handle="",
        leaves_traces=ORDER_FINALIZER in (metadata.get("finalizers") or ()),
        deleted=metadata.get("deletionTimestamp") or "",
        authentic=False,
        owner=owners[0].get("name", "") if owners else "",
        secret_name=annotations.get(SECRET_NAME_ANNOTATION, ""),
    )
    code = annotations.get(SEAL_ANNOTATION, "")
    if seal is not None and not seal.verifies(code, "order", *staged_parts(key, staged.owner_uid, annotations)):
        return staged
    try:
        return replace(
            staged,
            issuance_hash=annotations[f"{GROUP}/issuance-hash"],
            revision=int(annotations[f"{GROUP}/revision"]),
            issuer=annotations[f"{GROUP}/issuer"],
            csr=annotations[f"{GROUP}/csr-digest"],
            handle=annotations[f"{GROUP}/order"],
            hurries=int(annotations[f"{GROUP}/early-replacements"]),
            lapses=int(annotations[f"{GROUP}/lapses"]),
            setback=Setback.read(annotations[f"{GROUP}/order-again"]),
            authentic=True,
        )
    except (KeyError, ValueError):
        return staged


class _Owned(NamedTuple):
    data: frozenset[str]
    labels: frozenset[str]
    annotations: frozenset[str]


_NOTHING_OWNED = _Owned(frozenset(), frozenset(), frozenset())


def _owned_fields(managed_fields: Sequence[Raw]) -> _Owned:
    """What the operator still owns, by https://kubernetes.io/docs/reference/using-api/server-side-apply/."""
    for entry in managed_fields:
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
            owned = entry.get("fieldsV1") or {}
            metadata = owned.get("f:metadata") or {}
            return _owned(
                tuple(owned.get("f:data") or ()),
                tuple(metadata.get("f:labels") or ()),
                tuple(metadata.get("f:annotations") or ()),
            )
    return _NOTHING_OWNED


def _changed_by(managed_fields: Sequence[Raw], intact: frozenset[str]) -> str:
    changes = []
    for entry in managed_fields:
        if (entry.get("manager"), entry.get("operation")) == (MANAGER, "Apply"):
            continue
        data = (entry.get("fieldsV1") or {}).get("f:data") or ()
        theirs = sorted(name[2:] for name in data if name.startswith("f:") and name[2:] not in intact)
        if theirs:
            changes.append(f"{entry.get('manager')} ({', '.join(theirs[:_MOST_TOLD])})")
    return " and ".join(changes[:_MOST_TOLD])


_MOST_TOLD = 4


@lru_cache(maxsize=1024)
def _owned(data: tuple[str, ...], labels: tuple[str, ...], annotations: tuple[str, ...]) -> _Owned:
    # Nearly all Secrets own the same fields: one set serves them all.
    return _Owned(*(frozenset(n[2:] for n in part if n.startswith("f:")) for part in (data, labels, annotations)))


def _users_items(items: Mapping[str, str], owned: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in items.items() if k in owned and not k.startswith(f"{GROUP}/"))
