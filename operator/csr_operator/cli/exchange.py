"""`export` and `import`: out to a CA that is a person, and back."""

import sys
from argparse import Namespace
from datetime import datetime
from pathlib import Path

from cryptography import x509

from csr_operator.api.issuer import Issuer
from csr_operator.api.names import IMPORT_ANNOTATION
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_staged
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.issuance.answer import check_answer
from csr_operator.issuance.secret_body import staging_key
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.chain import load_bundle, to_pem
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint

from .certificates import title
from .cluster import Cluster, Reader
from .errors import CommandFailed
from .output import Report, note, one_line, write_file
from .state import held_by, state_of
from .waiting import Patience, wait_for

_MOST = 200 * 1024
"""Bytes of a chain: all annotations of an object may have 256 KiB together."""

_WAITS = {Reason.ACTION_REQUIRED, Reason.PENDING, Reason.ANSWER_MISMATCH}
"""Reasons with which the operator takes what is brought."""


async def export(cluster: Cluster, name: str, part: str, output_file: str) -> None:
    """part: csr, certificate, chain or ca."""
    obj = await cluster.get(cluster.key(name))
    text = _csr(obj) if part == "csr" else await _from_secret(cluster, parse_request(obj), part)
    try:
        write_file(Path(output_file) if output_file else None, text.rstrip(b"\n") + b"\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandFailed(f"cannot write {output_file or 'stdout'}: {error.strerror}") from None


async def bring(cluster: Cluster, options: Namespace, now: datetime) -> Report:
    """Check the chain against CSR and issuer, then hand it to the operator."""
    name = options.names[0]
    certificates = _read(options.file)
    obj = await cluster.get(cluster.key(name))
    request = parse_request(obj)
    roots = await _roots(cluster, request)
    _must_wait(request)
    try:
        chain = check_answer(request, load_csr(_csr(obj)), certificates, now, roots=roots, any_duration=True)
    except Mismatch as error:
        raise CommandFailed(_refusal(name, error.differences)) from None
    except PkiError as error:
        raise CommandFailed(_refusal(name, (str(error),))) from None
    pem = to_pem(chain.certificates)
    if len(pem) > _MOST:
        raise CommandFailed(f"the chain takes {len(pem)} bytes as PEM, and {_MOST} at most fit into an annotation")
    before = parse_request(await cluster.annotate(request.key, IMPORT_ANNOTATION, pem.decode()))
    fingerprint = sha256_fingerprint(chain.leaf)
    data = {"namespace": request.namespace, "name": name, "sha256Fingerprint": fingerprint}
    text = f"{request.namespace}/{name}: {title(chain.leaf)}: it is what was asked for, and handed to the operator"
    if options.wait:
        after = await wait_for(
            cluster,
            before,
            lambda r: state_of(r, now).ready and r.status.sha256_fingerprint == fingerprint,
            Patience(options.timeout),
            refusal=Reason.ACTION_REQUIRED,  # still, of a manual issuer that has seen what was brought,
        )
        data["revision"] = after.status.revision
        text = f"{request.namespace}/{name}: {title(chain.leaf)}: revision {after.status.revision} is in the Secret"
    return Report(data, text)


def _csr(obj: Object) -> bytes:
    text = (obj.get("status") or {}).get("csr")
    if text:
        return str(text).encode()
    request = parse_request(obj)
    held = held_by(request)
    why = f": {held.reason}: {one_line(held.message)}" if held is not None else ""
    raise CommandFailed(f"{request.name} has no certificate signing request yet{why}")


async def _from_secret(cluster: Cluster, request: CertificateRequest, part: str) -> bytes:
    name = request.spec.secret_name
    secret = await cluster.get_secret(request.secret)
    if secret is None:
        raise CommandFailed(f"Secret {name} does not exist: see `kubectl csr status {request.name}`")
    key = "ca.crt" if part == "ca" else "tls.crt"
    if not secret_data(secret).get(key):
        why = ": the CA's answer came without the CA's own certificate" if part == "ca" else ""
        raise CommandFailed(f"Secret {name} has no {key}{why}")
    try:
        certificates = load_bundle(secret_data(secret).get(key, b""))
    except PkiError as error:
        raise CommandFailed(f"{key} in Secret {name}: {error}") from None
    return to_pem(certificates[:1] if part == "certificate" else certificates)  # and nothing else that is in there


def _read(file: str) -> tuple[x509.Certificate, ...]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandFailed(f"cannot read {file}: {error.strerror}") from None
    try:
        return load_bundle(data)
    except PkiError as error:
        raise CommandFailed(f"{'stdin' if file == '-' else file}: {error}") from None


def _must_wait(request: CertificateRequest) -> None:
    """The operator would keep what comes at any other time, and try it with the next CSR."""
    status, held = request.status, held_by(request)
    if status.observed_generation < request.generation:
        raise CommandFailed(
            f"the operator has not looked at the newest spec of {request.name} yet: try again in a moment"
        )
    if held is not None and held.reason in _WAITS:
        return
    if held is not None:
        why = f"it is held up by something else: {held.reason}: {one_line(held.message)}"
    else:
        why = f"to have another: kubectl csr renew {request.name} -n {request.namespace}"
    raise CommandFailed(f"{request.name} is not waiting for a certificate to be imported; {why}")


async def _roots(cluster: Cluster, request: CertificateRequest) -> tuple[x509.Certificate, ...]:
    """What the chain must lead to; empty, with a note, where that is not known."""
    reader = Reader()
    manual: list[Issuer] = []
    for key in request.issuers:
        _, obj = await reader.issuer(cluster, key)
        if obj is not None and (issuer := parse_issuer(obj)).backend == "manual":
            manual.append(issuer)
    if not manual and not reader.unread:
        names = ", ".join(map(str, request.issuers))
        raise CommandFailed(f"nothing can be imported for {request.name}: {names} is not a manual issuer")
    if len(manual) > 1:
        manual = await _narrow_by_order(cluster, reader, request, manual)
    if len(manual) != 1:
        reader.unread.append("which issuer's caBundle the chain must lead to is not known")
    for text in reader.unread:
        note(f"note: {text}: the operator checks it")
    bundle = manual[0].config.get("caBundle") if len(manual) == 1 else None
    try:
        return load_bundle(bundle.encode()) if bundle else ()
    except PkiError as error:
        raise CommandFailed(f"{manual[0].key}: spec.manual.caBundle: {error}") from None


async def _narrow_by_order(
    cluster: Cluster, reader: Reader, request: CertificateRequest, issuers: list[Issuer]
) -> list[Issuer]:
    """Those of `issuers` that the order under way is with, as its Secret says."""
    _, order = await reader.try_to("the order's Secret", cluster.secret_metadata(staging_key(request)))
    staged = parse_staged(order, None) if order is not None else None
    return [issuer for issuer in issuers if staged is not None and staged.issuer == f"{issuer.kind}/{issuer.name}"]


def _refusal(name: str, differences: tuple[str, ...]) -> str:
    lines = "\n".join(f"  {one_line(text)}" for text in differences)
    return f"this is not what {name} asks for, and was not handed to the operator:\n{lines}"
