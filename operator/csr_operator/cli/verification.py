"""`verify`: whether what is in the Secret is what the spec asks for."""

import asyncio
from argparse import Namespace
from datetime import datetime

from cryptography import x509

from csr_operator.api.keys import SecretKey
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record
from csr_operator.decisions.ownership import not_owned, owner_of, owns
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.chain import Chain, build_chain, load_bundle
from csr_operator.pki.csr import build_csr, load_csr
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.keys import PrivateKey, load_private_key, parameters_of, private_key_der, private_key_pem
from csr_operator.pki.keystores import combined_pem
from csr_operator.pki.verify import CA_DECIDES, Rules
from csr_operator.pki.verify import verify as verify_chain

from .certificates import title
from .cluster import Cluster, Reader
from .output import Report, one_line
from .several import report_each

_AT_ONCE = 4


async def verify(cluster: Cluster, options: Namespace, now: datetime) -> Report:
    """Report.ok says whether nothing differs; what cannot be read differs."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def verify_named(name: str) -> Report:
        item = await _item(cluster, parse_request(await cluster.get(cluster.key(name))), now, at_once)
        return Report(item, _to_text(item), ok=bool(item["ok"]))

    if options.names:
        return await report_each(options.names, verify_named)
    objects = await cluster.list_requests(options.selector, everywhere=options.all_namespaces)
    items = await asyncio.gather(*(_item(cluster, parse_request(obj), now, at_once) for obj in objects))
    text = "\n".join(map(_to_text, items)) or "No certificate requests found."
    return Report({"items": items}, text, ok=all(item["ok"] for item in items))


async def _item(
    cluster: Cluster, request: CertificateRequest, now: datetime, at_once: asyncio.Semaphore
) -> dict[str, object]:
    reader = Reader()
    async with at_once:
        read, secret = await reader.try_to(f"Secret {request.spec.secret_name}", cluster.get_secret(request.secret))
        key_secret = None
        if read and (ref := request.spec.private_key.secret_ref) is not None:
            where = SecretKey(request.namespace, ref.name)
            read, key_secret = await reader.try_to(f"Secret {ref.name}", cluster.get_secret(where))
    problems = differences(request, secret, key_secret, now) if read else reader.unread
    return {
        "namespace": request.namespace,
        "name": request.name,
        "secretName": request.spec.secret_name,
        "ok": not problems,
        "verified": read,
        "differences": problems,
        "certificate": _certificate(secret),
    }


def differences(
    request: CertificateRequest, secret: Object | None, key_secret: Object | None, now: datetime
) -> list[str]:
    """How the Secret differs from the spec, a sentence each.

    key_secret: the one that `privateKey.secretRef` names.
    """
    name = request.spec.secret_name
    if request.problem:
        return [request.problem]
    if secret is None:
        return [f"Secret {name} does not exist"]
    meta = parse_secret_meta(secret, None)
    if not owns(request, meta):
        return [not_owned(name, owner_of(meta))]
    data = secret_data(secret)
    keys = request.spec.data_keys if meta.record is None else request.spec.stored_keys(meta.record)
    problems = [f"{key}: it is missing" for key in sorted(keys - data.keys())]
    csr, key = None, None
    try:
        csr, key = _csr(request, data, key_secret)
    except PkiError as error:
        problems.append(f"private key: {error}")
    if key is not None and request.spec.key_is_ours:
        problems += _about_key(request, key, data)
    try:
        bundle = load_bundle(data.get("tls.crt", b""))
        trusted = load_bundle(data["ca.crt"]) if data.get("ca.crt") else ()
        chain = build_chain(bundle[0].public_key(), bundle, roots=trusted, now=now)
    except PkiError as error:
        return [*problems, f"certificates: {error}"]
    if key is not None and request.spec.key_is_ours:
        problems += _about_formats(request, key, chain, data)
    if data["tls.crt"] != chain.pem:
        problems.append("tls.crt: it is not the certificate, and then each one that issued the one before it")
    # What a CA outside the cluster decides by itself was settled when the certificate came.
    settled = meta.record is not None and bool(meta.record.reference)
    rules = CA_DECIDES if settled else Rules()
    problems += _about_chain(request, csr, chain, trusted, now, rules)
    return problems + _about_record(request, meta.record, chain.leaf)


def _csr(
    request: CertificateRequest, data: dict[str, bytes], key_secret: Object | None
) -> tuple[x509.CertificateSigningRequest, PrivateKey | None]:
    """What the spec asks for, with the key that the certificate should be for."""
    spec = request.spec
    if spec.csr_pem:
        return load_csr(spec.csr_pem.encode()), None
    pem = data.get("tls.key", b"")
    if (ref := spec.private_key.secret_ref) is not None:
        pem = secret_data(key_secret).get(ref.key, b"") if key_secret is not None else b""
    key = load_private_key(pem)
    return build_csr(spec.template, key), key


def _about_key(request: CertificateRequest, key: PrivateKey, data: dict[str, bytes]) -> list[str]:
    wanted = request.spec.private_key
    got, expected = parameters_of(key), wanted.parameters.normalized()
    problems = []
    if got != expected:
        text = " instead of ".join(
            f"{parameters.algorithm.value} {parameters.size or ''}".strip() for parameters in (got, expected)
        )
        problems.append(f"private key: it is {text}")
    if private_key_pem(key, wanted.encoding).strip() != data["tls.key"].strip():
        problems.append(f"private key: it is not written as {wanted.encoding.value}")
    return problems


def _about_formats(request: CertificateRequest, key: PrivateKey, chain: Chain, data: dict[str, bytes]) -> list[str]:
    """Keystores are not opened: what they hold was made of the same key and chain."""
    outputs, encoding = request.spec.outputs, request.spec.private_key.encoding
    problems = []
    if outputs.der and data.get("key.der", b"") != private_key_der(key):
        problems.append("key.der: it is not the key in tls.key")
    if outputs.combined_pem and data.get("tls-combined.pem", b"") != combined_pem(chain, key, encoding):
        problems.append("tls-combined.pem: it is not the key in tls.key and the certificates in tls.crt")
    return problems


def _about_chain(
    request: CertificateRequest,
    csr: x509.CertificateSigningRequest | None,
    chain: Chain,
    trusted: tuple[x509.Certificate, ...],
    now: datetime,
    rules: Rules,
) -> list[str]:
    if csr is None:
        return []  # there is nothing to compare it with
    try:
        # How long it may be valid was settled when it came: some CAs decide that themselves.
        verify_chain(chain, csr, request.spec.template.profile, now=now, roots=trusted or None, rules=rules)
    except Mismatch as error:
        return list(error.differences)
    except PkiError as error:
        return [str(error)]
    return []


def _about_record(request: CertificateRequest, record: Record | None, leaf: x509.Certificate) -> list[str]:
    if record is None:
        return ["annotations: what the operator wrote about the certificate is missing, or was changed"]
    problems = []
    if record.sha256_fingerprint != sha256_fingerprint(leaf):
        problems.append("tls.crt: it is not the certificate that the operator put there")
    if record.issuance_hash != request.issuance_hash:
        problems.append("spec: it was changed since the certificate was issued, and another is to take its place")
    if request.status.sha256_fingerprint not in ("", record.sha256_fingerprint):
        problems.append("status: it tells of another certificate")
    return problems


def _certificate(secret: Object | None) -> str | None:
    try:
        return title(load_bundle(secret_data(secret).get("tls.crt", b""))[0]) if secret is not None else None
    except PkiError:
        return None


def _to_text(item: dict[str, object]) -> str:
    name = f"{item['namespace']}/{item['name']}"
    problems = item["differences"]
    assert isinstance(problems, list)
    if not problems:
        return f"{name}: OK: {item['certificate']}"
    if not item["verified"]:
        return f"{name}: not verified: {one_line('; '.join(problems))}"
    many = "1 difference" if len(problems) == 1 else f"{len(problems)} differences"
    return "\n".join([f"{name}: {many}", *(f"  {one_line(text)}" for text in problems)])
