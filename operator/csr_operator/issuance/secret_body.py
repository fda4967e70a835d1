"""What the operator writes into Secrets: the certificate's own, and the staging one while an order is under way."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from csr_operator.api.keys import Kind, SecretKey, SecretKeyRef
from csr_operator.api.names import (
    API_VERSION,
    GROUP,
    MANAGED_LABEL,
    ORDER_FINALIZER,
    ORDER_OF_ANNOTATION,
    OWED_ANNOTATION,
    RENEWAL_WINDOW_ANNOTATION,
    RETAINED_ANNOTATION,
    REVOCATION_FINALIZER,
    SEAL_ANNOTATION,
    SECRET_NAME_ANNOTATION,
    STAGING_LABEL,
)
from csr_operator.api.request import CertificateRequest, Outputs
from csr_operator.api.revocation_debts import RevocationDebt, write_debts
from csr_operator.api.seal import Seal, record_parts, staged_parts
from csr_operator.api.secrets import Record, Setback, Window
from csr_operator.api.times import format_time, parse_time
from csr_operator.decisions.pace import Pace
from csr_operator.pki import keystores
from csr_operator.pki.chain import Chain
from csr_operator.pki.csr import csr_digest
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.pki.keys import PrivateKey, private_key_pem
from csr_operator.plugin.backend import Renewal

Body = dict[str, Any]
Passwords = Mapping[SecretKeyRef, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is kept of an order besides key and CSR: see `api.secrets.Staged`."""

    revision: int
    hurries: int = 0
    handle: str = ""
    lapses: int = 0
    setback: Setback | None = None


def staging_key(request: CertificateRequest) -> SecretKey:
    """The name follows from the request alone, so that a restart finds it."""
    return SecretKey(request.namespace, f"{request.name[:200].rstrip('-.')}-{request.uid.replace('-', '')[:12]}-order")


def record_of(
    request: CertificateRequest,
    revision: int,
    issuer: str,
    chain: Chain,
    csr_pem: str,
    stored: datetime,
    hurries: int = 0,
    reference: str = "",
    renewal: Renewal | None = None,
) -> Record:
    """stored: when it is written, in UTC; hurries: as in `Record`."""
    leaf = chain.leaf
    return Record(
        issuance_hash=request.issuance_hash,
        revision=revision,
        serial_number=serial_octets(leaf),
        not_before=format_time(leaf.not_valid_before_utc),
        not_after=format_time(leaf.not_valid_after_utc),
        sha256_fingerprint=sha256_fingerprint(leaf),
        issuer_fingerprint=above(chain),
        issuer=issuer,
        renew=request.wishes.renew,
        csr=csr_digest(csr_pem),
        outputs=request.spec.outputs.digest(),
        stored=format_time(stored),
        hurries=hurries,
        reference=reference,
        window=window_of(renewal),
    )


def kept_record(
    request: CertificateRequest,
    revision: int,
    issuer: str,
    chain: Chain,
    csr_pem: str,
    before: Record | None,
    pace: Pace | None,
) -> Record:
    """The record of a certificate that is there already.

    before: what was on record. pace: as far as it is known, where nothing was.
    """
    # It was hardly stored before it became valid; but whatever it says of that, no brake is let go by it.
    stored_at, hurries = chain.leaf.not_valid_before_utc, 0
    if before is not None:
        stored_at, hurries = parse_time(before.stored), before.hurries
    elif pace is not None:
        stored_at, hurries = pace.stored, pace.hurries
    record = record_of(request, revision, issuer, chain, csr_pem, stored_at, hurries)
    if before is None:
        return record
    record = replace(record, renew=before.renew)  # a renewal that is asked for is still to come
    if before.sha256_fingerprint == record.sha256_fingerprint:
        record = replace(record, reference=before.reference, window=before.window)
    return record


def above(chain: Chain) -> str:
    """SHA-256 of the certificate of who signed it; empty if nobody gave that."""
    signer = chain.intermediates[0] if chain.intermediates else chain.root
    return "" if signer is None else sha256_fingerprint(signer)


def window_of(renewal: Renewal | None) -> Window | None:
    """When the CA wants the certificate renewed, as it is kept; None if it said nothing."""
    return Window(format_time(renewal.start), format_time(renewal.end)) if renewal is not None else None


def window_text(secret: SecretKey, serial_number: str, window: Window, seal: Seal) -> str:
    """For RENEWAL_WINDOW_ANNOTATION."""
    return f"{serial_number} {window.times} {seal.code('window', *secret, serial_number, window.times)}"


def secret_data(
    request: CertificateRequest, chain: Chain, key: PrivateKey | None, passwords: Passwords
) -> dict[str, bytes]:
    """`data` of the Secret; `key` is None if it is not the operator's. Raises PkiError (for an alias, a password).

    Where no CA certificate is known, there is none of what would hold it: nobody is to trust the certificate itself.
    """
    outputs, encoding = request.spec.outputs, request.spec.private_key.encoding
    data = {"tls.crt": chain.pem}
    if chain.ca_pem:
        data["ca.crt"] = chain.ca_pem
    if key is None:
        return data
    data["tls.key"] = private_key_pem(key, encoding)
    if outputs.der:
        data["key.der"] = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    if outputs.combined_pem:
        data["tls-combined.pem"] = keystores.combined_pem(chain, key, encoding)
    data.update(_keystores(outputs, chain, key, passwords))
    return data


def secret_type(request: CertificateRequest) -> str:
    """Of the Secret; Kubernetes lets nobody change it."""
    return "kubernetes.io/tls" if request.spec.key_is_ours else "Opaque"


def secret_body(
    request: CertificateRequest,
    record: Record,
    data: Mapping[str, bytes],
    debts: tuple[RevocationDebt, ...],
    seal: Seal,
) -> Body:
    """For server-side apply. debts: the replaced certificates that are still to be revoked."""
    template, where = request.spec.secret_template, request.secret
    annotations = {
        **dict(template.annotations),
        **record.annotations(),
        RETAINED_ANNOTATION: request.name if request.spec.retain else "",
    }
    annotations[SEAL_ANNOTATION] = seal.code("record", *record_parts(where, annotations))
    if record.window is not None:
        annotations[RENEWAL_WINDOW_ANNOTATION] = window_text(where, record.serial_number, record.window, seal)
    if debts:
        annotations[OWED_ANNOTATION] = write_debts(where, debts, seal)
    body = _body(
        request.secret,
        {**dict(template.labels), MANAGED_LABEL: "true"},
        annotations,
        secret_type(request),
        data,
    )
    if not request.spec.retain:
        body["metadata"]["ownerReferences"] = [_owner(request)]
    if request.is_guarded:
        # What has to be revoked is in here, and is not to be collected before.
        body["metadata"]["finalizers"] = [REVOCATION_FINALIZER]
    return body


def staging_body(
    request: CertificateRequest,
    plan: Plan,
    issuer: str,
    key_pem: bytes,
    csr_pem: str,
    seal: Seal,
    *,
    leaves_traces: bool,
) -> Body:
    """For server-side apply."""
    where = staging_key(request)
    annotations = {
        f"{GROUP}/issuance-hash": request.issuance_hash,
        f"{GROUP}/revision": str(plan.revision),
        f"{GROUP}/issuer": issuer,
        f"{GROUP}/csr-digest": csr_digest(csr_pem),
        f"{GROUP}/order": plan.handle,
        f"{GROUP}/early-replacements": str(plan.hurries),
        f"{GROUP}/lapses": str(plan.lapses),
        f"{GROUP}/order-again": plan.setback.text if plan.setback is not None else "",
    }
    annotations[SEAL_ANNOTATION] = seal.code("order", *staged_parts(where, request.uid, annotations))
    annotations[ORDER_OF_ANNOTATION] = request.uid
    annotations[SECRET_NAME_ANNOTATION] = request.spec.secret_name
    body = _body(
        where,
        {MANAGED_LABEL: "true", STAGING_LABEL: "true"},
        annotations,
        "Opaque",
        {"tls.key": key_pem, "tls.csr": csr_pem.encode()},
    )
    body["metadata"]["ownerReferences"] = [_owner(request)]
    if leaves_traces:
        body["metadata"]["finalizers"] = [ORDER_FINALIZER]
    return body


def _keystores(outputs: Outputs, chain: Chain, key: PrivateKey, passwords: Passwords) -> dict[str, bytes]:
    data = {}
    trusted = (chain.root,) if chain.root is not None else chain.intermediates[-1:]
    if (store := outputs.pkcs12) is not None:
        password = passwords[store.password]
        profile = keystores.Pkcs12Profile(store.profile or keystores.Pkcs12Profile.MODERN_2023)
        alias = store.alias or keystores.DEFAULT_ALIAS
        data["keystore.p12"] = keystores.pkcs12_keystore(chain, key, password, alias=alias, profile=profile)
        if trusted:
            data["truststore.p12"] = keystores.pkcs12_truststore(trusted, password, profile=profile)
    if (store := outputs.jks) is not None:
        password = passwords[store.password]
        alias = store.alias or keystores.DEFAULT_ALIAS
        data["keystore.jks"] = keystores.jks_keystore(chain, key, password, alias=alias)
        if trusted:
            data["truststore.jks"] = keystores.jks_truststore(trusted, password)
    return data


def _body(
    key: SecretKey, labels: Mapping[str, str], annotations: Mapping[str, str], kind: str, data: Mapping[str, bytes]
) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": dict(labels),
            "annotations": dict(annotations),
        },
        "type": kind,
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def _owner(request: CertificateRequest) -> Body:
    return {
        "apiVersion": API_VERSION,
        "kind": Kind.CERTIFICATE_REQUEST.value,
        "name": request.name,
        "uid": request.uid,
        "controller": True,
    }
