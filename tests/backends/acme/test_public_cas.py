"""The dated table of what public CAs refuse, which is told before an order is placed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csr_operator.backends.public_cas import ACME_HOSTS, DIGICERT, LETS_ENCRYPT, PublicCa, find_refusal
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters
from csr_operator.pki.profile import Profile

NOW = datetime(2026, 11, 28, tzinfo=UTC)
OTHER = ACME_HOSTS["acme.zerossl.com"]


def said(ca: PublicCa = LETS_ENCRYPT, **asked: Any) -> str:
    given = {"now": NOW, "profile": Profile(), "key": KeyParameters(), **asked}
    return find_refusal(ca, **given)


@pytest.mark.parametrize(
    ("algorithm", "size", "fits"),
    [
        *((KeyAlgorithm.RSA, size, size in (2048, 3072, 4096)) for size in (2048, 2560, 3072, 4096, 8192)),
        *((KeyAlgorithm.ECDSA, size, size != 521) for size in (None, 256, 384, 521)),
        (KeyAlgorithm.ED25519, None, False),
        (KeyAlgorithm.ML_DSA_65, None, False),
    ],
)
def test_keys(algorithm: KeyAlgorithm, size: int | None, fits: bool) -> None:
    found = said(key=KeyParameters(algorithm, size))
    assert (found == "") == fits
    if not fits:
        assert found.startswith("spec.privateKey: Let's Encrypt signs no ")
        assert found.endswith("take one of RSA of 2048, 3072 or 4096 bits and ECDSA of 256 or 384 bits")
    assert not said(OTHER, key=KeyParameters(algorithm, size))


@pytest.mark.parametrize(
    ("ca", "since"),
    [
        (LETS_ENCRYPT, datetime(2026, 7, 8, tzinfo=UTC)),
        (DIGICERT, datetime(2027, 3, 1, tzinfo=UTC)),
        (OTHER, datetime(2027, 3, 15, tzinfo=UTC)),
    ],
)
def test_clients_are_certified_until_a_day(ca: PublicCa, since: datetime) -> None:
    clients = Profile(usages=("digital signature", "server auth", "client auth"))
    assert not said(ca, profile=clients, now=since - timedelta(seconds=1))
    assert f'since {since:%Y-%m-%d}: remove "client auth"' in said(ca, profile=clients, now=since)
    assert not said(ca, profile=Profile(usages=("server auth",)), now=since)


def test_must_staple() -> None:
    assert said(profile=Profile(must_staple=True)).startswith("spec.mustStaple: ")
    assert not said(OTHER, profile=Profile(must_staple=True))


@pytest.mark.parametrize(("profile", "most"), [("", 100), ("classic", 100), ("tlsserver", 25), ("shortlived", 25)])
def test_names(profile: str, most: int) -> None:
    assert not said(names=most, acme_profile=profile)
    found = said(names=most + 1, acme_profile=profile)
    assert found.startswith(f"spec.dnsNames: Let's Encrypt takes at most {most} names in one certificate")
    assert not said(names=1000, acme_profile="of-next-year")
    assert not said(OTHER, names=1000)


@pytest.mark.parametrize(
    ("day", "most"),
    [
        ("2026-03-15", 200),
        ("2027-03-14", 200),
        ("2027-03-15", 100),
        ("2029-03-14", 100),
        ("2029-03-15", 47),
        ("2031-01-01", 47),
    ],
)
def test_validity(day: str, most: int) -> None:
    now = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert not said(OTHER, now=now, duration=timedelta(days=most))
    found = said(OTHER, now=now, duration=timedelta(days=most, seconds=1))
    assert found == f"spec.duration: certificates of public CAs are valid for at most {most} days: ask for less"
    assert not said(OTHER, now=now)  # the CA is asked for no duration
    assert not said(OTHER, now=datetime(2026, 3, 14, tzinfo=UTC), duration=timedelta(days=398))
