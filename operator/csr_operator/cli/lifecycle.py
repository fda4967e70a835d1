"""`renew` and `revoke`."""

import asyncio
from argparse import Namespace
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NoReturn

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import ObjectKey, issuer_name
from csr_operator.api.names import RENEW_ANNOTATION, REVOKE_ANNOTATION, SUPERSEDED
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.request import CertificateRequest
from csr_operator.backends.registry import create
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.revocation import cannot_revoke
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.plugin.context import Context, NoResponder
from csr_operator.plugin.errors import Misconfigured

from .certificates import title
from .cluster import Cluster, Reader
from .errors import CommandFailed
from .output import Report, ask, note
from .waiting import Patience, wait_for

_AT_ONCE = 8
_KEY_IS_LOST = ("keyCompromise", "cACompromise", "aACompromise")


async def renew(cluster: Cluster, options: Namespace, now: datetime) -> Report:
    """Have certificates renewed now; with `--wait` until the new ones are there. What fails does not stop the rest."""
    if options.names:
        keys = [cluster.key(name) for name in options.names]
    else:
        objects = await cluster.list_requests(options.selector, everywhere=options.all_namespaces)
        keys = [parse_request(obj).key for obj in objects]
    stamp = now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    at_once = asyncio.Semaphore(_AT_ONCE)
    outcomes = await asyncio.gather(*(_ask(cluster, key, stamp, at_once) for key in keys))
    if options.wait:
        patience = Patience(options.timeout)
        outcomes = [await _renewed(cluster, outcome, patience) for outcome in outcomes]
    if not outcomes:
        return Report({"items": []}, "No certificate requests found.")
    for outcome in outcomes:
        if outcome.error:
            note(f"error: {outcome.error}")
    lines = [_outcome_words(outcome, options.wait) for outcome in outcomes if not outcome.error]
    data = {"items": [_outcome_data(outcome, stamp) for outcome in outcomes]}
    return Report(data, "\n".join(lines), ok=not any(outcome.error for outcome in outcomes))


async def revoke(cluster: Cluster, name: str, options: Namespace) -> Report:
    """Have the current certificate revoked and replaced, once the user has said yes."""
    request = parse_request(await cluster.get(cluster.key(name)))
    reader = Reader()
    _, secret = await reader.try_to(f"Secret {request.spec.secret_name}", cluster.get_secret(request.secret))
    serial, issuer_said, description = _current(request, secret)
    if not serial:
        raise CommandFailed(f"{name} has no certificate that could be revoked")
    key = next((key for key in request.issuers if issuer_name(key) == issuer_said), request.issuers[0])
    await _must_be_able_to_revoke(cluster, reader, request, key)
    for text in reader.unread:
        note(f"note: {text}")
    if options.reason in _KEY_IS_LOST and not request.spec.key_is_ours:
        ref = request.spec.private_key.secret_ref
        where = f"in Secret {request.namespace}/{ref.name}" if ref is not None else "and the CSR in spec.request"
        note(f"note: the next certificate is for the same key: first replace the key {where}")
    if not options.yes:
        why = f" ({options.reason})" if options.reason else ""
        note(f"Revoke{why} and replace the certificate of {request.namespace}/{name}: {description}, through {key}?")
        if not ask("[y/N] "):
            raise CommandFailed("nothing was changed")
    await cluster.annotate(request.key, REVOKE_ANNOTATION, f"{serial} {options.reason}".rstrip())
    data = {
        "namespace": request.namespace,
        "name": name,
        "serialNumber": serial,
        "issuer": issuer_name(key),
        "reason": options.reason or SUPERSEDED,
    }
    text = f"{request.namespace}/{name}: revocation requested of {description}; another certificate replaces it first"
    return Report(data, text)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """request: as it was last seen, None if it could not even be asked for."""

    key: ObjectKey
    request: CertificateRequest | None
    error: str = ""


async def _ask(cluster: Cluster, key: ObjectKey, stamp: str, at_once: asyncio.Semaphore) -> _Outcome:
    try:
        async with at_once:
            return _Outcome(key, parse_request(await cluster.annotate(key, RENEW_ANNOTATION, stamp)))
    except KubeError as error:
        return _Outcome(key, None, str(error))


async def _renewed(cluster: Cluster, outcome: _Outcome, patience: Patience) -> _Outcome:
    before = outcome.request
    if before is None:
        return outcome
    try:
        after = await wait_for(cluster, before, lambda r: r.status.revision > before.status.revision, patience)
        return replace(outcome, request=after)
    except (KubeError, CommandFailed) as error:
        return replace(outcome, error=str(error))


def _outcome_words(outcome: _Outcome, waited: bool) -> str:
    name = f"{outcome.key.namespace}/{outcome.key.name}"
    if outcome.request is None or not waited:
        return f"{name}: renewal requested"
    status = outcome.request.status
    return f"{name}: revision {status.revision}, serial number {status.serial_number}, valid until {status.not_after}"


def _outcome_data(outcome: _Outcome, stamp: str) -> dict[str, object]:
    status = outcome.request.status if outcome.request is not None else None
    return {
        "namespace": outcome.key.namespace,
        "name": outcome.key.name,
        "requested": stamp if status is not None else None,
        "revision": status.revision if status is not None else None,
        "serialNumber": status.serial_number if status is not None else None,
        "notAfter": status.not_after if status is not None else None,
        "error": outcome.error or None,
    }


def _current(request: CertificateRequest, secret: Object | None) -> tuple[str, str, str]:
    """Serial number, issuer (`Kind/name`, or empty) and words for the current certificate.

    From the Secret where it could be read, because the status may be behind.
    """
    status = request.status
    told = f"serial number {status.serial_number}, valid until {status.not_after}"
    if secret is None or not owns(request, meta := parse_secret_meta(secret, None)) or meta.record is None:
        return status.serial_number, "", told
    record = meta.record
    try:
        certificate = load_bundle(secret_data(secret).get("tls.crt", b""))[0]
        return record.serial_number, record.issuer, f"{title(certificate)}, serial number {record.serial_number}"
    except PkiError:
        return record.serial_number, record.issuer, f"serial number {record.serial_number}"


async def _must_be_able_to_revoke(
    cluster: Cluster, reader: Reader, request: CertificateRequest, key: ObjectKey
) -> None:
    """Raises CommandFailed if the backend cannot; says so if that is not known."""
    read, obj = await reader.issuer(cluster, key)
    if not read:
        note(f"note: whether {key} can revoke is not known")
        return
    if obj is None:
        raise CommandFailed(f"{key} does not exist: no CA can be asked to revoke the certificate")
    issuer = parse_issuer(obj)
    able = _revokes(issuer)
    if able is None:
        note(f"note: whether {key} can revoke is not known: its backend {issuer.backend} is not installed here")
    elif not able:
        raise CommandFailed(
            f"{cannot_revoke(key, issuer.backend)}; "
            f"to replace the certificate: kubectl csr renew {request.name} -n {request.namespace}"
        )


def _revokes(issuer: Issuer) -> bool | None:
    """What the backend says of itself; None if it is not installed here, or its configuration is wrong."""

    async def nothing(*_: object) -> None:
        return None

    def no_session() -> NoReturn:
        raise AssertionError("`create` does no I/O")

    try:
        context = Context(nothing, nothing, lambda: datetime.now(UTC), no_session, NoResponder())
        return create(issuer.backend, issuer.config, context).traits.revokes
    except Misconfigured:
        return None
