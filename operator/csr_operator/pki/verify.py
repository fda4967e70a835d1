"""Whether a CA's answer is what was asked for: nothing is stored before it passed here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from csr_operator.pki import compare, path
from csr_operator.pki.chain import Chain, chains, spki_of
from csr_operator.pki.compare import SubjectRule as SubjectRule
from csr_operator.pki.errors import Mismatch, NotYet, Over, PkiError
from csr_operator.pki.extensions import extensions_of
from csr_operator.pki.keys import parameters_of, public_key_der
from csr_operator.pki.profile import Profile

# What CAs put into every TLS certificate, by template, whatever the request says.
TLS_USAGES = frozenset({"digital signature", "key encipherment", "key agreement", "server auth", "client auth"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What a CA is free to decide. The default is nothing.

    ``added_usages`` are usages that the certificate may carry without having been asked for (`TLS_USAGES`,
    say). ``clock_skew`` is how far in the future the certificate's notBefore may lie.
    """

    subject: SubjectRule = SubjectRule.EXACT
    added_usages: frozenset[str] = frozenset()
    clock_skew: timedelta = timedelta(minutes=5)


CA_DECIDES = Rules(SubjectRule.CA_DECIDES, TLS_USAGES)
"""For CAs that write the subject they validated, and the usages of their products."""


def accepted(
    csr: x509.CertificateSigningRequest,
    certificates: Iterable[x509.Certificate],
    profile: Profile,
    *,
    now: datetime,
    not_after_limit: datetime | None = None,
    roots: Sequence[x509.Certificate] | None = None,
    rules: Rules = Rules(),
) -> Chain:
    """The first of the `chains` in an answer that `verify` accepts.

    With ``roots`` (None: any) it ends in one of them. Raises Mismatch for the best one if all are refused, and PkiError
    if there is none.
    """
    refusal: Mismatch | None = None
    for chain in chains(csr, certificates, roots=roots or (), now=now):
        try:
            verify(chain, csr, profile, now=now, not_after_limit=not_after_limit, roots=roots, rules=rules)
        except Mismatch as error:
            refusal = refusal or error
        else:
            return chain
    assert refusal is not None
    raise refusal


def clock_words(refusal: Mismatch, now: datetime) -> str:
    """What to say of a certificate that is not valid now and differs in nothing else; empty for any other one."""
    if refusal.is_over:
        # Without the time now, with which each attempt would find a new message.
        return (
            "if the certificate is a new one, the operator's clock is ahead: set that of its node right, and it is"
            " accepted by itself"
        )
    if refusal.not_before is None:
        return ""
    return (
        f"the operator's clock says {_time(now)}: the CA's clock is ahead, or that of the operator's node is behind;"
        f" it is looked at again at {_time(refusal.not_before)}"
    )


def verify(
    chain: Chain,
    csr: x509.CertificateSigningRequest,
    profile: Profile,
    *,
    now: datetime,
    not_after_limit: datetime | None = None,
    minimum_lifetime: timedelta = timedelta(0),
    roots: Sequence[x509.Certificate] | None = None,
    rules: Rules = Rules(),
) -> None:
    """Compare a certificate with what was asked for; raise Mismatch, which lists every difference.

    Public key, names and the key's algorithm are compared with ``csr``; usages, the CA bit, name constraints,
    must-staple and custom extensions with ``profile``. With no usages in the profile they are the CA's choice, but a
    key usage extension must then allow digital signatures (a CA's: signing certificates). With no path length in the
    profile, the CA may set one.

    A common name that the CA repeats among the alternative names counts as asked for, because most CAs do so.

    The certificates of ``chain`` must each be issued by the next, and obey RFC 5280, 6.1 (see `path.check`).
    With ``roots``, one of them must be in the chain or have issued its top; with None, the chain is trusted
    as given.

    The certificate must be valid at ``now`` (with time zone) and for ``minimum_lifetime`` from then;
    ``not_after_limit`` is the latest end that is acceptable. To hold the CA to a duration, pass now +
    duration + what it may round up.
    """
    leaf = chain.leaf
    differences: list[str] = []
    if spki_of(leaf) != public_key_der(csr.public_key()):
        differences.append("public key: the certificate is for another key than the request's")
    # The key's policy is the request's, which load_csr and build_csr enforce; another key was told of above.
    custom = frozenset(x509.ObjectIdentifier(extension.oid) for extension in profile.extensions)
    anchored, missing = path.to_anchor(chain.certificates, roots)
    differences += missing
    differences += path.check(anchored, now=now, known=custom)
    differences += _fields(leaf, now, minimum_lifetime, not_after_limit, rules.clock_skew)
    try:
        extensions_of(leaf)
    except PkiError:
        raise Mismatch(differences) from None  # path.check has told of it, and nothing can be compared
    differences += compare.names(leaf, csr, rules.subject)
    algorithm = parameters_of(csr.public_key()).algorithm
    differences += compare.usages(leaf, profile, algorithm, rules.added_usages)
    differences += compare.other_extensions(leaf, profile, algorithm)
    if differences:
        raise Mismatch(differences)


def _fields(
    leaf: x509.Certificate, now: datetime, lifetime: timedelta, limit: datetime | None, skew: timedelta
) -> list[str]:
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    problems = []
    if leaf.version is not x509.Version.v3:
        problems.append(f"version: {leaf.version.name}, v3 is required")
    if not 0 < leaf.serial_number < 1 << 160:
        problems.append("serial number: not a positive number of at most 20 octets (RFC 5280, 4.1.2.2)")
    if start > now + skew:
        problems.append(NotYet(f"validity: it begins only at {_time(start)}", start - skew))
    if end <= start:
        problems.append(f"validity: it ends at {_time(end)}, before it begins")
    elif end <= now:
        problems.append(Over(f"validity: it ended at {_time(end)}"))
    elif end < now + lifetime:
        problems.append(f"validity: it ends at {_time(end)}, less than {lifetime} from now")
    if limit is not None and end > limit:
        problems.append(f"validity: it ends at {_time(end)}, later than the latest allowed, {_time(limit)}")
    return problems


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
