"""What CAs that browsers trust refuse whatever is proven to them, so that it is told before an order costs something.

As of 2026-11-28, from what these CAs publish. A rule that is not here is the CA's to tell. Pure: no I/O, no clock.

Validity: CA/Browser Forum, Baseline Requirements 6.3.2, by its ballot SC-081v3. Client authentication: DigiCert's
ALERT53 (https://knowledge.digicert.com/alerts, of 2026-03-03), Let's Encrypt's
https://letsencrypt.org/2025/05/14/ending-tls-client-authentication (put off to 2026-07-08), and for all others the
Chrome Root Program Policy 1.8. Names and profiles: https://letsencrypt.org/docs/profiles/. Keys:
https://letsencrypt.org/docs/integration-guide/. OCSP: https://letsencrypt.org/2024/12/05/ending-ocsp/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from csr_operator.pki.keys import KeyAlgorithm, KeyParameters
from csr_operator.pki.profile import Profile
from csr_operator.pki.usages import normalized_usages

_VALIDITY = (
    (datetime(2029, 3, 15, tzinfo=UTC), 47),
    (datetime(2027, 3, 15, tzinfo=UTC), 100),
    (datetime(2026, 3, 15, tzinfo=UTC), 200),
)
"""From when on a certificate is valid for how many days at most, the latest first."""

_NO_CLIENTS = datetime(2027, 3, 15, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PublicCa:
    """name: for the user. keys: that it signs; None: not known here. most_names: by ACME profile; the one named "" is
    what an order without a profile gets. no_clients: since when it certifies no TLS clients. staples: whether it takes
    must-staple."""

    name: str
    keys: frozenset[tuple[KeyAlgorithm, int | None]] | None = None
    most_names: Mapping[str, int] = field(default_factory=dict)
    no_clients: datetime = _NO_CLIENTS
    staples: bool = True


LETS_ENCRYPT = PublicCa(
    "Let's Encrypt",
    frozenset(
        {
            *((KeyAlgorithm.RSA, size) for size in (2048, 3072, 4096)),
            *((KeyAlgorithm.ECDSA, size) for size in (256, 384)),
        }
    ),
    {"": 100, "classic": 100, "tlsserver": 25, "shortlived": 25},
    datetime(2026, 7, 8, tzinfo=UTC),
    staples=False,
)
DIGICERT = PublicCa("DigiCert", no_clients=datetime(2027, 3, 1, tzinfo=UTC))

CERTCENTRAL_PRODUCTS = frozenset(
    {
        *("ssl_basic", "ssl_ev_basic", "ssl_plus", "ssl_ev_plus", "ssl_wildcard"),
        *("ssl_multi_domain", "ssl_ev_multi_domain"),
        *("ssl_securesite", "ssl_securesite_flex", "ssl_securesite_pro"),
        *("ssl_ev_securesite", "ssl_ev_securesite_flex", "ssl_ev_securesite_pro"),
        *("ssl_dv_geotrust", "ssl_dv_geotrust_flex", "ssl_dv_rapidssl"),
    }
)
"""Those of CertCentral that are for TLS and public for sure, by the identifiers of its Services API (dev.digicert.com).
What is not here may be private, as `private_ssl_flex` is."""

ACME_HOSTS: Mapping[str, PublicCa] = {
    "acme-v02.api.letsencrypt.org": LETS_ENCRYPT,
    "acme-staging-v02.api.letsencrypt.org": LETS_ENCRYPT,
    "acme.zerossl.com": PublicCa("ZeroSSL"),
    "dv.acme-v02.api.pki.goog": PublicCa("Google Trust Services"),
}
"""By the host of an ACME directory."""


def find_refusal(
    ca: PublicCa,
    now: datetime,
    profile: Profile,
    key: KeyParameters,
    *,
    names: int = 0,
    acme_profile: str = "",
    duration: timedelta | None = None,
) -> str:
    """Why the CA would not sign this at `now`, and what to do; empty if nothing of it is known here.

    names: how many, with the common name. duration: None if the CA is not asked for one.
    """
    key = key.normalized()
    if ca.keys is not None and (key.algorithm, key.size) not in ca.keys:
        kinds = " and ".join(f"{kind} of {_sizes(ca, kind)} bits" for kind in (KeyAlgorithm.RSA, KeyAlgorithm.ECDSA))
        wanted = f"{key.algorithm} {key.size}" if key.size else str(key.algorithm)
        return f"spec.privateKey: {ca.name} signs no {wanted} keys: take one of {kinds}"
    if "client auth" in normalized_usages(profile.usages) and now >= ca.no_clients:
        return (
            f"spec.usages: {ca.name} has certified no TLS clients since {ca.no_clients:%Y-%m-%d}: remove "
            '"client auth", or take an issuer with a CA of your own'
        )
    if profile.must_staple and not ca.staples:
        return f"spec.mustStaple: {ca.name} no longer answers OCSP, and does not accept must-staple: remove it"
    most = ca.most_names.get(acme_profile)
    if most is not None and names > most:
        of = f" with the profile {acme_profile}" if acme_profile else ""
        text = f"spec.dnsNames: {ca.name} takes at most {most} names in one certificate{of}, and there are {names}"
        return f"{text}: split them over several requests"
    days = next((days for since, days in _VALIDITY if now >= since), None)
    if duration is not None and days is not None and duration > timedelta(days=days):
        return f"spec.duration: certificates of public CAs are valid for at most {days} days: ask for less"
    return ""


def _sizes(ca: PublicCa, algorithm: KeyAlgorithm) -> str:
    *most, last = sorted(size for kind, size in ca.keys or () if kind is algorithm and size is not None)
    return f"{', '.join(map(str, most))} or {last}"
