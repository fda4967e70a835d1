"""Whether a chain of certificates holds together (RFC 5280, 6.1, without policies and revocation)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from csr_operator.pki import constraints
from csr_operator.pki.errors import NotYet, Over, PkiError, name_text
from csr_operator.pki.extensions import extension_of, extensions_of
from csr_operator.pki.keys import check_algorithm, parameters_of
from csr_operator.pki.signatures import folded, issued_by, weak_hash

# What may be critical: it is looked at here or by `verify`, or restricts nothing that either of them decides.
_UNDERSTOOD = frozenset(
    {
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
)


def to_anchor(
    certificates: Sequence[x509.Certificate], roots: Sequence[x509.Certificate] | None
) -> tuple[tuple[x509.Certificate, ...], list[str]]:
    """The certificates from the leaf up to the trust anchor, and what is wrong if none of ``roots`` is one.

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
    for root in roots:
        if root.subject == top.issuer:
            return path, [
                f"chain: {name_text(top.subject)} is not signed by {name_text(root.subject)}, a root it names"
            ]
    known = ", ".join(name_text(root.subject) for root in roots) or "it has none"
    return path, [f"chain: it ends at {name_text(top.issuer)}, which is not among the issuer's roots ({known})"]


def check(
    path: Sequence[x509.Certificate],
    *,
    now: datetime,
    known: frozenset[x509.ObjectIdentifier] = frozenset(),
) -> list[str]:
    """What is wrong with a path that runs from the leaf up to the trust anchor; empty when nothing is.

    Each certificate must be signed by the next, name no other one by its authority key identifier (RFC 5280, 4.2.1.1,
    where OpenSSL looks for no other way up), be signed not with MD5 or SHA-1, and have no critical extension that is
    unknown (those in ``known`` may be in the leaf). Each CA, the anchor too, must be valid at ``now``, have CA:TRUE,
    may have no key usage without keyCertSign, no path length that is exceeded, no name constraint that is violated, and
    no key that `parameters_of` refuses. An anchor of X.509 version 1, which has no extensions, needs none (RFC 5280,
    6.1.1 d: it is a name and a key). What is not valid yet is told of as `NotYet`. The leaf's own validity and purpose
    are left to the caller.
    """
    leaf, *authorities = path
    problems = [*_signature(leaf, "certificate"), *_unknown_extensions(leaf, "certificate", known)]
    for certificate, issuer in zip(path, authorities, strict=False):
        label = "certificate" if certificate is leaf else f"CA {name_text(certificate.subject)}"
        if not issued_by(certificate, issuer):
            problems.append(f"chain: the {label} is not signed by {name_text(issuer.subject)}")
        elif not _may_be_named(certificate, issuer):
            problems.append(_other_identifier(label, issuer))
    problems += _about_authorities(authorities)
    for authority in map(_authority, authorities):
        text = (
            f"chain: the {authority.label} is valid from {authority.not_before:%Y-%m-%dT%H:%M:%SZ} to"
            f" {authority.not_after:%Y-%m-%dT%H:%M:%SZ}, not now"
        )
        if now > authority.not_after:
            problems.append(Over(text))
        elif now < authority.not_before:
            problems.append(NotYet(text, authority.not_before))
    # Constraints on what is broken already would only say it again.
    return (
        problems
        if any(not isinstance(problem, NotYet | Over) for problem in problems)
        else [*problems, *constraints.check(path)]
    )


def check_authorities(authorities: Sequence[x509.Certificate]) -> list[str]:
    """What `check` would say of these CAs, the lowest first, of whatever the lowest signs, at any time."""
    return [
        *(
            f"chain: the {_authority(authority).label} is not signed by {name_text(issuer.subject)}"
            for authority, issuer in pairwise(authorities)
            if not issued_by(authority, issuer)
        ),
        *(
            _other_identifier(_authority(authority).label, issuer)
            for authority, issuer in pairwise(authorities)
            if not _may_be_named(authority, issuer)
        ),
        *_about_authorities(authorities),
    ]


def _may_be_named(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Its authority key identifier is that of `issuer`, as far as either says one."""
    try:
        named = extension_of(certificate, x509.AuthorityKeyIdentifier)
        own = extension_of(issuer, x509.SubjectKeyIdentifier)
    except PkiError:
        return True  # told of by _unknown_extensions
    if named is None:
        return True
    if named.key_identifier is not None and own is not None and named.key_identifier != own.digest:
        return False
    if named.authority_cert_serial_number not in (None, issuer.serial_number):
        return False
    names = [name.value for name in named.authority_cert_issuer or () if isinstance(name, x509.DirectoryName)]
    return not names or folded(names[0]) == folded(issuer.issuer)


def _other_identifier(label: str, issuer: x509.Certificate) -> str:
    return (
        f"chain: the {label} says by its authority key identifier that another certificate is its issuer's than that of"
        f" {name_text(issuer.subject)}, and OpenSSL refuses it"
    )


def _about_authorities(authorities: Sequence[x509.Certificate]) -> list[str]:
    """All but who signed them and when they are valid."""
    problems: list[str] = []
    below = 0  # the CAs below this one; self-issued ones do not count (RFC 5280, 4.2.1.9)
    for index, certificate in enumerate(authorities):
        authority, is_anchor = _authority(certificate), index == len(authorities) - 1
        if authority.no_ca and not (is_anchor and authority.is_old_root):
            problems.append(authority.no_ca)
        problems += authority.problems
        if not is_anchor:
            problems += _signature(certificate, authority.label)
        if authority.path_length is not None and below > authority.path_length:
            problems.append(
                f"chain: the {authority.label} has the path length {authority.path_length},"
                f" but {below} more CAs stand below it"
            )
        below += not authority.self_issued
    return problems


@dataclass(frozen=True, slots=True)
class _Authority:
    label: str
    no_ca: str
    is_old_root: bool
    problems: tuple[str, ...]
    path_length: int | None
    self_issued: bool
    not_before: datetime
    not_after: datetime


@lru_cache(maxsize=256)
def _authority(certificate: x509.Certificate) -> _Authority:
    """What there is to know of a CA certificate whatever the path it stands in: CAs come by again and again."""
    label = f"CA {name_text(certificate.subject)}"
    problems = _unknown_extensions(certificate, label, frozenset())
    path_length, no_ca = None, ""
    self_issued = certificate.subject == certificate.issuer
    try:
        basic = extension_of(certificate, x509.BasicConstraints)
        usage = extension_of(certificate, x509.KeyUsage)
    except PkiError:
        pass  # told of by _unknown_extensions
    else:
        if basic is None or not basic.ca:
            no_ca = f"chain: the {label} is not a CA certificate (its basic constraints lack CA:TRUE)"
        else:
            path_length = basic.path_length
        if usage is not None and not usage.key_cert_sign:
            problems.append(f"chain: the {label} may not sign certificates (its key usage lacks keyCertSign)")
    try:
        check_algorithm(certificate)
        parameters_of(certificate.public_key())
    except PkiError as error:
        problems.append(f"chain: the key of the {label} is too weak: {error}")
    except (ValueError, UnsupportedAlgorithm):
        problems.append(f"chain: the key of the {label} cannot be read")
    return _Authority(
        label,
        no_ca,
        self_issued and certificate.version is x509.Version.v1,
        tuple(problems),
        path_length,
        self_issued,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _signature(certificate: x509.Certificate, label: str) -> list[str]:
    try:
        weak = weak_hash(certificate)
    except (ValueError, UnsupportedAlgorithm):
        oid = certificate.signature_algorithm_oid.dotted_string
        return [f"signature: the {label} is signed with an unknown algorithm ({oid})"]
    return [f"signature: the {label} is signed with {weak}, which is broken"] if weak else []


def _unknown_extensions(
    certificate: x509.Certificate, label: str, known: frozenset[x509.ObjectIdentifier]
) -> list[str]:
    try:
        extensions = extensions_of(certificate)
    except PkiError as error:
        return [f"extensions of the {label}: {error}"]
    return [
        f"critical extension: the {label} has {extension.oid.dotted_string}, which is unknown here"
        for extension in extensions
        if extension.critical and extension.oid not in _UNDERSTOOD and extension.oid not in known
    ]
