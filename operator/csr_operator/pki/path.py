"""Whether a chain of certificates holds together (RFC 5280, 6.1, without policies and revocation)."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from csr_operator.pki import constraints
from csr_operator.pki.chain import issued_by
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.extensions import extensions_of
from csr_operator.pki.keys import parameters_of

_WEAK_HASHES = (hashes.MD5, hashes.SHA1)
# Critical extensions that may be there because they are looked at here or by `verify`, or restrict nothing of
# it.
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.POLICY_MAPPINGS,
    ExtensionOID.INHIBIT_ANY_POLICY,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.TLS_FEATURE,
}


def to_anchor(
    certificates: Sequence[x509.Certificate], roots: Sequence[x509.Certificate] | None
) -> tuple[tuple[x509.Certificate, ...], list[str]]:
    """The certificates from the leaf up to the trust anchor, and what is wrong if there is none among ``roots``.

    The anchor is the first certificate that is one of the roots, or else a root that issued the topmost
    certificate. With None for ``roots``, everything that is there is taken.
    """
    path = tuple(certificates)
    if roots is None:
        return path, []
    for count, certificate in enumerate(path, start=1):
        if certificate in roots:
            return path[:count], []
    top = path[-1]
    for root in roots:
        if issued_by(top, root):
            return (*path, root), []
    return path, [
        f"chain: it ends at {name(top.issuer)}, which is none of the issuer's roots"
        f" ({', '.join(name(root.subject) for root in roots) or 'there are none'})"
    ]


def check(
    path: Sequence[x509.Certificate],
    *,
    now: datetime,
    critical: frozenset[x509.ObjectIdentifier] = frozenset(),
) -> list[str]:
    """What is wrong with a path that runs from the leaf up to the trust anchor; empty when nothing is.

    For each certificate: signed by the next with no MD5 or SHA-1, no critical extension that is unknown (and
    not in ``critical``, which counts for the leaf only). For each CA: valid at ``now``, CA:TRUE, keyCertSign,
    path length, name constraints, and a key that `parameters_of` accepts. A trust anchor is held to the same,
    apart from its signature.
    """
    problems: list[str] = []
    for index, certificate in enumerate(path):
        label = f"CA {name(certificate.subject)}" if index else "certificate"
        above = path[index + 1] if index + 1 < len(path) else None
        if above is not None and not issued_by(certificate, above):
            problems.append(f"chain: the signature of the {label} is not that of {name(above.subject)}")
        if above is not None or not index:
            problems += _weak_signature(certificate, label)
        try:
            known = critical if index == 0 else frozenset()
            problems += _unknown(certificate, label, known)
            if index:
                problems += _authority(certificate, label, now)
                problems += _path_length(path, index, label)
        except PkiError as error:
            problems.append(f"{label}: {error}")
    return problems or constraints.check(path)


def name(value: x509.Name) -> str:
    """A distinguished name for a message."""
    return quoted(value.rfc4514_string()) if value.rdns else "the empty name"


def _authority(certificate: x509.Certificate, label: str, now: datetime) -> list[str]:
    problems = []
    found = {extension.oid: extension.value for extension in extensions_of(certificate)}
    basic = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if not isinstance(basic, x509.BasicConstraints) or not basic.ca:
        problems.append(f"chain: the {label} is no CA certificate (basicConstraints has no CA:TRUE)")
    usage = found.get(ExtensionOID.KEY_USAGE)
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        problems.append(f"chain: the {label} may not sign certificates (its key usage lacks keyCertSign)")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        problems.append(
            f"chain: the {label} is valid from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ} to"
            f" {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}, not now"
        )
    try:
        parameters_of(certificate.public_key())
    except PkiError as error:
        problems.append(f"chain: the {label} has a weak key: {error}")
    except (ValueError, UnsupportedAlgorithm):
        problems.append(f"chain: the {label} has a key that cannot be read")
    return problems


def _path_length(path: Sequence[x509.Certificate], index: int, label: str) -> list[str]:
    basic = next(e.value for e in extensions_of(path[index]) if isinstance(e.value, x509.BasicConstraints))
    # Self-issued certificates do not count (RFC 5280, 4.2.1.9).
    below = sum(certificate.subject != certificate.issuer for certificate in path[1:index])
    if basic.path_length is not None and below > basic.path_length:
        return [
            f"chain: the {label} has the path length {basic.path_length}, but {below} CAs follow below it"
        ]
    return []


def _weak_signature(certificate: x509.Certificate, label: str) -> list[str]:
    try:
        used = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return [
            f"chain: the {label} is signed with an unknown algorithm ({certificate.signature_algorithm_oid.dotted_string})"
        ]
    if isinstance(used, _WEAK_HASHES):
        return [f"chain: the {label} is signed with {used.name.upper()}, which is broken"]
    return []


def _unknown(certificate: x509.Certificate, label: str, known: frozenset[x509.ObjectIdentifier]) -> list[str]:
    return [
        f"critical extension: the {label} has {extension.oid.dotted_string}, which is unknown here"
        for extension in extensions_of(certificate)
        if extension.critical and extension.oid not in _UNDERSTOOD and extension.oid not in known
    ]
