"""`inspect`: the certificate in the Secret, its chain, and the CSR. Never a key."""

from datetime import datetime
from typing import Any

from csr_operator.api.parse_request import parse_request
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.chain import load_bundle
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import public_key_der

from .certificates import certificate_data, certificate_words, request_data, request_words
from .cluster import Cluster, Reader
from .output import Report, facts


async def inspect(cluster: Cluster, name: str, now: datetime) -> Report:
    """What the certificates, the CSR and the Secret of the request `name` hold. Raises CommandFailed."""
    obj = await cluster.get(cluster.key(name))
    request = parse_request(obj)
    reader = Reader()
    read, secret = await reader.try_to(f"Secret {request.spec.secret_name}", cluster.get_secret(request.secret))
    if read and secret is None:
        reader.unread.append(f"Secret {request.spec.secret_name} does not exist")
    data: dict[str, Any] = {
        "namespace": request.namespace,
        "name": request.name,
        "secretName": request.spec.secret_name,
        "secretKeys": sorted(secret.get("data") or ()) if secret is not None else None,
        "certificates": _certificates(secret, "tls.crt", reader),
        "ca": _certificates(secret, "ca.crt", reader),
        "csr": _csr(obj, reader),
        "status": _certificate_in_status(obj),
    }
    data["csrIsOfCertificate"] = _same_key(obj, secret)
    data["unread"] = reader.unread
    return Report(data, _to_text(data, now))


def _certificates(secret: Object | None, name: str, reader: Reader) -> list[dict[str, Any]] | None:
    if secret is None or (name == "ca.crt" and not secret_data(secret).get(name)):
        return None
    try:
        return [certificate_data(certificate) for certificate in load_bundle(secret_data(secret).get(name, b""))]
    except PkiError as error:
        reader.unread.append(f"{name} in Secret {secret['metadata']['name']}: {error}")
        return None


def _csr(obj: Object, reader: Reader) -> dict[str, Any] | None:
    text = (obj.get("status") or {}).get("csr")
    if not text:
        return None
    try:
        return request_data(load_csr(text.encode()))
    except PkiError as error:
        reader.unread.append(f"status.csr: {error}")
        return None


def _certificate_in_status(obj: Object) -> dict[str, Any] | None:
    status = obj.get("status") or {}
    if not status.get("serialNumber"):
        return None
    fields = ("revision", "serialNumber", "sha256Fingerprint", "notBefore", "notAfter")
    return {field: status.get(field) for field in fields}


def _same_key(obj: Object, secret: Object | None) -> bool | None:
    """Whether the CSR is the one of the certificate; None where one of them is missing."""
    text = (obj.get("status") or {}).get("csr")
    if not text or secret is None:
        return None
    try:
        leaf = load_bundle(secret_data(secret).get("tls.crt", b""))[0]
        return public_key_der(leaf.public_key()) == public_key_der(load_csr(text.encode()).public_key())
    except PkiError:
        return None


def _to_text(data: dict[str, Any], now: datetime) -> str:
    parts = [f"CertificateRequest {data['namespace']}/{data['name']}"]
    if data["secretKeys"] is not None:
        parts.append(f"Secret {data['secretName']} holds {', '.join(data['secretKeys']) or 'nothing'}.")
    certificates = data["certificates"] or ()
    for number, certificate in enumerate(certificates, start=1):
        place = f" {number} of {len(certificates)}" if len(certificates) > 1 else ""
        parts.append(f"Certificate{place} (tls.crt):\n{certificate_words(certificate, now, '  ')}")
    for authority in data["ca"] or ():
        if certificates and authority["sha256Fingerprint"] == certificates[0]["sha256Fingerprint"]:
            parts.append("ca.crt is the certificate itself.")
        else:
            parts.append(f"CA (ca.crt):\n{certificate_words(authority, now, '  ')}")
    if certificates and "ca.crt" not in data["secretKeys"]:
        parts.append("There is no ca.crt: the CA's answer came without the CA's own certificate.")
    status = data["status"]
    if not certificates and status is not None:
        told = (
            ("Valid", f"from {status['notBefore']} until {status['notAfter']}"),
            ("Serial number", status["serialNumber"]),
            ("SHA-256", status["sha256Fingerprint"] or ""),
            ("Revision", str(status["revision"] or "")),
        )
        parts.append(f"Certificate, as the status tells of it:\n{facts(told, '  ')}")
    if data["csr"] is not None:
        whose = {True: ", which the certificate was issued for", False: ", which waits for a certificate", None: ""}
        which = whose[data["csrIsOfCertificate"]]
        parts.append(f"Certificate signing request (status.csr){which}:\n{request_words(data['csr'], '  ')}")
    else:
        parts.append("There is no certificate signing request in the status yet.")
    if data["unread"]:
        parts.append("\n".join(f"({text})" for text in data["unread"]))
    return "\n\n".join(parts)
