"""The `ca` backend's revocation list, on Secrets in memory: what would need a crash or a race at the right moment."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from csr_operator.backends.base import Context, Issued, Misconfigured, NoResponder, Order, Rejected
from csr_operator.backends.ca import CaBackend
from csr_operator.backends.http import http_session
from csr_operator.pki.crl import crl_number, is_revoked, load_crl
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from tests.support.authorities import KeyPair, authority

Data = Mapping[str, bytes]
SUPERSEDED = x509.ReasonFlags.superseded


class Secrets:
    """What a backend sees of the cluster, and a clock that goes when it is told."""

    def __init__(self, pair: KeyPair) -> None:
        self.held: dict[str, Data] = {}
        self.now = datetime.now(UTC)
        self.writes = 0
        self.hold(pair)

    def hold(self, pair: KeyPair) -> None:
        self.held["ca"] = {"tls.crt": pair.certificate.encode(), "tls.key": pair.key.encode()}

    async def read(self, name: str) -> Data | None:
        await asyncio.sleep(0)
        return self.held.get(name)

    async def publish(self, name: str, change: Callable[[Data], Data]) -> None:
        await asyncio.sleep(0)
        change(self.held.get(name, {}))  # somebody else was faster
        await asyncio.sleep(0)
        before = self.held.get(name, {})
        if (after := change(before)) != before:
            self.held[name] = after
            self.writes += 1

    @property
    def crl(self) -> x509.CertificateRevocationList:
        return load_crl(self.held["crl"]["ca.crl"])

    def backend(self) -> CaBackend:
        context = Context(self.read, self.publish, lambda: self.now, http_session, NoResponder())
        return CaBackend.create({"secretName": "ca", "crl": {"secretName": "crl"}}, context)


async def issue(ca: CaBackend) -> x509.Certificate:
    csr = build_csr(CsrTemplate(Names(dns_names=("www.example.com",)), Profile()), generate(KeyParameters()))
    answer = await ca.submit(Order("key", csr, Profile(), timedelta(days=90)))
    assert isinstance(answer, Issued)
    return answer.certificates[0]


async def test_what_is_revoked_at_once_is_listed_together_and_once() -> None:
    secrets = Secrets(authority("CA"))
    ca = secrets.backend()
    await ca.check()
    certificates = [await issue(ca) for _ in range(50)]
    await asyncio.gather(*(ca.revoke(certificate, SUPERSEDED) for certificate in certificates * 2))
    assert sorted(entry.serial_number for entry in secrets.crl) == sorted(c.serial_number for c in certificates)
    assert secrets.writes <= 4


async def test_a_repeat_and_a_check_change_nothing_until_half_of_its_time_is_over() -> None:
    secrets = Secrets(authority("CA"))
    ca = secrets.backend()
    await ca.check()
    certificate = await issue(ca)
    await ca.revoke(certificate, SUPERSEDED)
    listed = secrets.held["crl"]
    await ca.revoke(certificate, SUPERSEDED)
    secrets.now += timedelta(days=3, hours=11)
    await ca.check()
    assert secrets.held["crl"] == listed
    before = crl_number(secrets.crl)
    secrets.now += timedelta(hours=2)
    await ca.check()
    assert crl_number(secrets.crl) == before + 1
    assert is_revoked(secrets.crl, certificate.serial_number)


async def test_the_number_goes_up_also_when_the_key_changes_and_nothing_is_lost_when_it_changes_back() -> None:
    pairs = [authority("CA") for _ in range(2)]
    secrets = Secrets(pairs[0])
    ca = secrets.backend()
    await ca.check()
    revoked = await issue(ca)
    await ca.revoke(revoked, SUPERSEDED)
    numbers = [crl_number(secrets.crl)]
    for pair in (pairs[1], pairs[0]):
        secrets.hold(pair)
        ca = secrets.backend()  # as after a restart
        await ca.check()
        numbers.append(crl_number(secrets.crl))
    assert numbers == sorted(set(numbers))
    assert is_revoked(secrets.crl, revoked.serial_number)


async def test_an_older_list_that_somebody_put_there_does_not_take_a_revocation_back() -> None:
    secrets = Secrets(authority("CA"))
    ca = secrets.backend()
    await ca.check()
    older = secrets.held["crl"]
    certificate = await issue(ca)
    await ca.revoke(certificate, SUPERSEDED)
    for tampered in (older, {}):
        secrets.held["crl"] = tampered
        await ca.check()
        assert is_revoked(secrets.crl, certificate.serial_number)


async def test_a_list_that_cannot_be_read_is_told_of_and_left_alone() -> None:
    secrets = Secrets(authority("CA"))
    secrets.held["crl"] = {"ca.crl": b"nonsense"}
    with pytest.raises(Misconfigured, match="Secret crl: the revocation list cannot be read"):
        await secrets.backend().check()
    assert secrets.held["crl"] == {"ca.crl": b"nonsense"}


async def test_a_ca_that_may_not_sign_lists_says_so_before_it_is_needed() -> None:
    secrets = Secrets(authority("CA", signs_crls=False))
    with pytest.raises(Misconfigured, match="lacks cRLSign: renew it with that"):
        await secrets.backend().check()


async def test_nothing_of_another_ca_is_listed() -> None:
    secrets, other = Secrets(authority("CA")), Secrets(authority("CA"))
    ca, foreign = secrets.backend(), other.backend()
    await ca.check()
    await foreign.check()
    with pytest.raises(Rejected, match="issued with another key than the CA has now"):
        await ca.revoke(await issue(foreign), SUPERSEDED)
    assert len(secrets.crl) == 0
