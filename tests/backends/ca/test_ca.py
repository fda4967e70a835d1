"""The `ca` backend's revocation list, on Secrets in memory: what would need a crash or a race at the right moment."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from csr_operator.backends.ca import CaBackend
from csr_operator.pki.authority import load_authority
from csr_operator.pki.crl import crl_number, load_crl, revoked, sign_crl
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin.backend import Issued, Order
from csr_operator.plugin.context import Context, NoResponder
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.http import http_session
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

    async def write_secret(self, name: str, change: Callable[[Data], Data]) -> None:
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
        context = Context(self.read, self.write_secret, lambda: self.now, http_session, NoResponder())
        return CaBackend.create({"secretName": "ca", "crl": {"secretName": "crl"}}, context)


async def issue(ca: CaBackend) -> x509.Certificate:
    csr = build_csr(CsrTemplate(Names(dns_names=("www.example.com",)), Profile()), generate(KeyParameters()))
    answer = await ca.submit(Order("key", csr, Profile(), timedelta(days=90)))
    assert isinstance(answer, Issued)
    return answer.certificates[0]


async def test_what_revoked_at_once_is_listed_together_and_once() -> None:
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
    # The list is dated back for clocks that are behind. A certificate was revoked when it was.
    now = secrets.now.replace(microsecond=0)
    assert secrets.crl.last_update_utc == now - timedelta(minutes=5)
    assert revoked(secrets.crl)[certificate.serial_number].revocation_date_utc == now
    await ca.revoke(certificate, SUPERSEDED)
    secrets.now += timedelta(days=3, hours=11)
    await ca.check()
    assert secrets.held["crl"] == listed
    before = crl_number(secrets.crl)
    secrets.now += timedelta(hours=2)
    await ca.check()
    assert crl_number(secrets.crl) == before + 1
    assert certificate.serial_number in revoked(secrets.crl)


async def test_the_number_goes_up_also_when_the_key_changes_and_nothing_is_lost_when_it_changes_back() -> None:
    pairs = [authority("CA") for _ in range(2)]
    secrets = Secrets(pairs[0])
    ca = secrets.backend()
    await ca.check()
    old = await issue(ca)
    await ca.revoke(old, SUPERSEDED)
    numbers = [crl_number(secrets.crl)]
    for pair in (pairs[1], pairs[0]):
        secrets.hold(pair)
        ca = secrets.backend()  # as after a restart
        await ca.check()
        numbers.append(crl_number(secrets.crl))
    assert numbers == sorted(set(numbers))
    assert old.serial_number in revoked(secrets.crl)


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
        assert certificate.serial_number in revoked(secrets.crl)


async def test_what_has_expired_goes_when_a_later_list_had_it() -> None:
    """RFC 5280, 3.3: an entry appears on one list that was issued beyond the certificate's validity."""
    secrets = Secrets(authority("CA"))
    ca = secrets.backend()
    await ca.check()
    old = await issue(ca)
    await ca.revoke(old, SUPERSEDED)
    secrets.now += timedelta(days=60)
    young = await issue(ca)
    await ca.revoke(young, SUPERSEDED)

    secrets.now += timedelta(days=31)  # `old` has expired yesterday
    ca = secrets.backend()  # as after a restart
    await ca.check()
    assert old.serial_number in revoked(secrets.crl)
    number = crl_number(secrets.crl)
    secrets.now += timedelta(days=4)
    await ca.check()

    assert [entry.serial_number for entry in secrets.crl] == [young.serial_number]
    assert crl_number(secrets.crl) == number + 1
    assert len(secrets.held["crl"]["expiries.json"]) < 40


async def test_nobody_but_the_ca_says_when_a_certificate_expires() -> None:
    """Who may write the list's Secret would have the entry dropped; and an older operator did not keep it."""
    secrets = Secrets(authority("CA"))
    ca = secrets.backend()
    await ca.check()
    certificate = await issue(ca)
    await ca.revoke(certificate, SUPERSEDED)
    held = secrets.held["crl"]
    forged = re.sub(rb"\d{4}-\d{2}-\d{2}", b"2001-01-01", held["expiries.json"])
    assert forged != held["expiries.json"]

    for tampered in ({**held, "expiries.json": forged}, {**held, "expiries.json": b"{"}, {"ca.crl": held["ca.crl"]}):
        secrets.held["crl"] = tampered
        ca = secrets.backend()  # which remembers nothing
        for _ in range(3):
            secrets.now += timedelta(days=4)
            await ca.check()
            assert certificate.serial_number in revoked(secrets.crl)


@pytest.mark.slow("signs lists of many thousands, for seconds")
async def test_a_list_that_nears_what_a_secret_holds_is_told_of_and_the_ca_goes_on_signing() -> None:
    pair = authority("CA")
    secrets = Secrets(pair)
    ca, authority_ = secrets.backend(), load_authority(pair.certificate.encode(), pair.key.encode())
    await ca.check()

    def listed(count: int) -> bytes:
        serials = {(1 << 158) + number: x509.ReasonFlags.superseded for number in range(count)}
        end = secrets.now + timedelta(days=7)
        return sign_crl(
            authority_, None, number=7, now=secrets.now, this_update=secrets.now, next_update=end, revoke=serials
        )

    secrets.held["crl"] = {"ca.crl": listed(12_000)}
    await (ca := secrets.backend()).check()
    assert "KiB of revocation lists: have certificates expire sooner" in (await ca.check()).message
    await ca.revoke(await issue(ca), SUPERSEDED)
    assert len(secrets.crl) == 12_001

    secrets.held["crl"] = full = {"ca.crl": listed(16_000)}
    ca = secrets.backend()
    with pytest.raises(Misconfigured, match=r"of 16001 certificates, and with \d+ KiB it is more than a Secret holds"):
        await ca.revoke(await issue(ca), SUPERSEDED)
    assert secrets.held["crl"] == full
    await ca.check()
    await issue(ca)


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


async def test_what_the_cas_own_name_constraints_forbid_is_refused_in_these_words() -> None:
    secrets = Secrets(authority("CA", only_below="example.org"))
    with pytest.raises(Rejected, match=r"the name constraints of the CA forbid it: .*www\.example\.com"):
        await issue(secrets.backend())


async def test_a_ca_that_is_not_valid_yet_is_waited_for_in_the_same_words_each_time() -> None:
    secrets, said = Secrets(authority("CA")), set()
    for hour in (3, 2):
        secrets.now = datetime.now(UTC) - timedelta(days=400, hours=hour)
        with pytest.raises(Retryable) as caught:
            await secrets.backend().check()
        said.add(str(caught.value))
    (words,) = said
    assert "which the operator's clock has not reached" in words


async def test_a_list_that_was_signed_by_a_clock_that_was_ahead_is_signed_anew_and_once() -> None:
    secrets = Secrets(authority("CA"))
    ca = secrets.backend()
    await ca.check()
    certificate = await issue(ca)
    secrets.now += timedelta(days=1)
    await ca.revoke(certificate, SUPERSEDED)
    ahead = crl_number(secrets.crl)

    secrets.now -= timedelta(days=1)
    await ca.check()

    assert secrets.crl.last_update_utc <= secrets.now
    assert crl_number(secrets.crl) == ahead + 1
    assert certificate.serial_number in revoked(secrets.crl)
    listed = secrets.held["crl"]
    await ca.check()
    assert secrets.held["crl"] == listed
