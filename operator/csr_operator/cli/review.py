"""What an approver decides on: all that a request asks for, what is unusual first. Pure, from what was read."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.api.keys import issuer_name
from csr_operator.api.request import DEFAULT_DURATION, CertificateRequest, RotationPolicy
from csr_operator.decisions.policy_facts import facts_of
from csr_operator.kube.objects import Object
from csr_operator.pki.constraints import Subtrees
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.names import subject_name
from csr_operator.pki.profile import wanted_usages
from csr_operator.pki.usages import DEFAULT_USAGES, normalized_usages

_USUAL_USAGES = frozenset(("digital signature", "key encipherment", "server auth", "client auth"))
_USUAL_ATTRIBUTES = frozenset(
    (
        *(NameOID.COMMON_NAME, NameOID.COUNTRY_NAME, NameOID.STATE_OR_PROVINCE_NAME, NameOID.LOCALITY_NAME),
        *(NameOID.STREET_ADDRESS, NameOID.POSTAL_CODE, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME),
    )
)


class Change(NamedTuple):
    """The last write to a spec: by which program (its field manager, which it names itself), and when (RFC 3339)."""

    manager: str
    time: str


def last_change(obj: Object) -> Change | None:
    """From `metadata.managedFields`; None if nothing is there of it.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management: an entry has the time of its
    manager's last change, so that this one is not before the change of the spec.
    """
    changes = [
        Change(str(entry.get("manager") or "unknown"), str(entry.get("time") or ""))
        for entry in obj["metadata"].get("managedFields") or ()
        if not entry.get("subresource") and "f:spec" in (entry.get("fieldsV1") or {})
    ]
    return max(changes, key=lambda change: change.time, default=None)


def unusual(request: CertificateRequest) -> Iterator[str]:
    """What few requests ask for, a text each, the most far-reaching first."""
    spec, wanted, profile = request.spec, facts_of(request), request.spec.template.profile
    if request.problem:
        yield f"the spec cannot be read: {request.problem}"
    if wanted.is_ca:
        below = "any number of" if profile.path_length is None else str(profile.path_length)
        yield f"a CA certificate, with {below} CA certificates below it"
    if spec.duration > DEFAULT_DURATION:
        yield f"duration {span_words(spec.duration)}, longer than the default of {span_words(DEFAULT_DURATION)}"
    if wildcards := [name for name in wanted.dns_names if name.startswith("*")]:
        yield f"wildcard names: {', '.join(wildcards)}"
    if usages := sorted(wanted.usages - _USUAL_USAGES):
        yield f"usages: {', '.join(usages)}"
    if wanted.extensions:
        critical = {extension.oid for extension in profile.extensions if extension.critical}
        oids = (f"{oid} (critical)" if oid in critical else oid for oid in sorted(wanted.extensions))
        yield f"extensions: {', '.join(oids)}"
    if profile.name_constraints is not None:
        constraints = profile.name_constraints
        sides = (("only", constraints.permitted), ("not", constraints.excluded))
        texts = [f"{word} {', '.join(_subtrees(side))}" for word, side in sides if any(_subtrees(side))]
        yield f"name constraints: {'; '.join(texts) or 'none'}"
    if profile.must_staple:
        yield "mustStaple: clients refuse it without a stapled OCSP response"
    if wanted.other_names:
        given = [f"{other.oid}={other.utf8_value}" for other in spec.template.names.other_names]
        yield f"otherNames: {', '.join(given) or wanted.other_names}"
    if attributes := [attribute.rfc4514_string() for attribute in _subject(request) if _is_unusual(attribute)]:
        yield f"subject: {', '.join(attributes)}"
    if wanted.malformed:
        yield f"names that no certificate can have: {'; '.join(f'{kind}: {why}' for kind, why in wanted.malformed)}"
    if kept := _kept_key(request):
        yield kept


def all_of_it(request: CertificateRequest, change: Change | None) -> Iterator[tuple[str, str]]:
    """Pairs of a word and a text, of every part of the spec that decides what is signed, and by whom it was written."""
    spec, wanted, names = request.spec, facts_of(request), request.spec.template.names
    yield from (("Unusual", text) for text in unusual(request))
    yield "Common name", ", ".join(wanted.common_names)
    attributes = [attribute for attribute in _subject(request) if attribute.oid != NameOID.COMMON_NAME]
    yield "Subject", ", ".join(attribute.rfc4514_string() for attribute in attributes)
    for word, values in (
        ("DNS", wanted.dns_names),
        ("IP", wanted.ip_addresses),
        ("URI", wanted.uris),
        ("E-mail", wanted.email_addresses),
    ):
        yield from ((word, value) for value in values)
    yield "Usages", ", ".join(_usages(request))
    yield "Duration", span_words(spec.duration)
    yield "Key", _key_words(request)
    yield "CSR", "given in the request (spec.request)" if spec.csr_pem else ""
    if names.literal_subject:
        yield "Literal", names.literal_subject
    yield "Issuer", ", else ".join(issuer_name(key) for key in request.issuers)
    yield "Secret", f"{request.namespace}/{spec.secret_name}"
    yield "Written", f"at {change.time} by {change.manager}" if change is not None else "by an unknown program"
    yield "Created", request.created


def asks(request: CertificateRequest, change: Change | None) -> dict[str, Any]:
    """The same for programs."""
    wanted = facts_of(request)
    return {
        "unusual": list(unusual(request)),
        "isCA": wanted.is_ca,
        "usages": _usages(request),
        "duration": span_words(request.spec.duration),
        "writtenBy": change.manager if change is not None else None,
        "writtenAt": change.time or None if change is not None else None,
    }


def describe_writer(change: Change | None) -> str:
    """After the generation: `, describe_writer at TIME by PROGRAM`."""
    return f", written at {change.time} by {change.manager}" if change is not None else ""


def span_words(length: timedelta) -> str:
    """As a field takes it (https://pkg.go.dev/time#ParseDuration), such as 2160h or 1h30m."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _usages(request: CertificateRequest) -> list[str]:
    """Those that the certificate is to have: what is for CAs, and nothing that its key cannot serve for."""
    wanted = facts_of(request)
    usages = wanted.usages
    if wanted.key is not None:
        with contextlib.suppress(PkiError):  # it is refused, with these words, when the CSR is built
            signed = wanted_usages(request.spec.template.profile, wanted.key.algorithm)
            # A CSR of the user's own may ask for more.
            usages = signed | (usages - normalized_usages(request.spec.template.profile.usages or DEFAULT_USAGES))
    return sorted(usages | {"cert sign"} if wanted.is_ca else usages)


def _is_unusual(attribute: x509.NameAttribute[str | bytes]) -> bool:
    # By an organization of that kind, Kubernetes knows a group: system:masters may do anything.
    return attribute.oid not in _USUAL_ATTRIBUTES or str(attribute.value).startswith("system:")


def _subject(request: CertificateRequest) -> Sequence[x509.NameAttribute[str | bytes]]:
    spec = request.spec
    try:
        name = load_csr(spec.csr_pem.encode()).subject if spec.csr_pem else subject_name(spec.template.names)
    except PkiError:
        return ()  # it is refused, with these words, when the CSR is built
    return list(name)


def _subtrees(side: Subtrees) -> tuple[str, ...]:
    return (*side.dns_domains, *side.ip_ranges, *side.email_addresses, *side.uri_domains)


def _kept_key(request: CertificateRequest) -> str:
    """Why the next certificate has the same key; empty if it has another."""
    spec = request.spec
    if spec.csr_pem:
        return "the key stays the same: it is outside the cluster (spec.request)"
    if (ref := spec.private_key.secret_ref) is not None:
        return f"the key stays the same: it is {ref.key} in Secret {request.namespace}/{ref.name}"
    if spec.private_key.rotation_policy is RotationPolicy.NEVER and not spec.template.profile.is_ca:
        return "the key stays the same (privateKey.rotationPolicy is Never)"
    return ""


def _key_words(request: CertificateRequest) -> str:
    if request.spec.private_key.secret_ref is not None:
        return ""  # that is said already, and of which kind it is stands there
    parameters = facts_of(request).key
    if parameters is None:
        return ""
    return f"{parameters.algorithm.value} {parameters.size or ''}".strip()
