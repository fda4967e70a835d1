"""A certificate that is not valid yet, and is wrong in nothing else: it is waited for, not refused for good."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from csr_operator.api.parse_request import parse_request
from csr_operator.backends.backdate import MOST, backdate_of, validity
from csr_operator.backends.manual import ManualBackend
from csr_operator.issuance.failures import Failed
from csr_operator.issuance.performer import accept
from csr_operator.pki.chain import to_pem
from csr_operator.pki.csr import build_csr
from csr_operator.pki.keys import KeyParameters, generate, private_key_pem
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.context import Context, NoResponder
from csr_operator.plugin.errors import Misconfigured
from csr_operator.plugin.http import http_session

NOW = datetime(2031, 3, 2, 12, tzinfo=UTC)
KEY = generate(KeyParameters())
METADATA = {"namespace": "shop", "name": "www", "uid": "u", "resourceVersion": "1", "creationTimestamp": "-"}
REQUEST = parse_request(
    {
        "metadata": METADATA,
        "spec": {"secretName": "tls", "issuerRef": {"name": "ca"}, "commonName": "a", "dnsNames": ["www.example.com"]},
    }
)
CSR = build_csr(REQUEST.spec.template, KEY)
AHEAD = timedelta(minutes=10)


def answer(names: tuple[str, ...] = ("www.example.com",)) -> x509.Certificate:
    """It begins ten minutes from now, five more than is forgiven."""
    return (
        x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]), CSR.subject, CSR.public_key(), 7
        )
        .not_valid_before(NOW + AHEAD)
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(generate(KeyParameters()), hashes.SHA256())
    )


def failure(certificate: x509.Certificate) -> Failed:
    with pytest.raises(Failed) as caught:
        accept(REQUEST, CSR, Issued((certificate,)), NOW)
    return caught.value


def test_an_answer_that_is_not_valid_yet_is_looked_at_again_when_it_is() -> None:
    failed = failure(answer())
    assert (failed.reason, failed.permanent, failed.needs_user) == ("AnswerMismatch", False, False)
    assert failed.after == timedelta(seconds=300)
    assert "it begins only at 2031-03-02T12:10:00Z" in failed.message
    assert "the operator's clock says 2031-03-02T12:00:00Z: the CA's clock is ahead, or that of" in failed.message


def test_an_answer_that_differs_in_something_else_too_is_refused() -> None:
    failed = failure(answer(("www.example.com", "evil.example")))
    assert failed.permanent
    assert 'DNS name: "evil.example" was not asked for' in failed.message
    assert "clock" not in failed.message


def test_an_answer_that_is_over_already_speaks_of_the_clock_and_is_looked_at_again() -> None:
    """Mostly the operator's clock is ahead; when it is set right, the same certificate is taken."""
    later = NOW + timedelta(days=100)
    with pytest.raises(Failed) as caught:
        accept(REQUEST, CSR, Issued((answer(),)), later)
    failed = caught.value
    assert (failed.reason, failed.permanent, failed.needs_user) == ("AnswerMismatch", False, True)
    assert failed.message.startswith(
        "the CA's answer is not valid any more: validity: it ended at 2031-05-31T12:00:00Z"
    )
    assert "the operator's clock is ahead: set that of its node right" in failed.message
    with pytest.raises(Failed) as other:
        accept(REQUEST, CSR, Issued((answer(("evil.example",)),)), later)
    assert other.value.permanent


def by_hand(clock: Callable[[], datetime]) -> ManualBackend:
    """A CA that signs manually, and reads and writes nothing."""

    async def nothing(*_: Any) -> None:
        raise AssertionError

    return ManualBackend.create({}, Context(nothing, nothing, clock, http_session, NoResponder()))


async def test_what_was_imported_with_the_clock_ahead_is_taken_when_it_is_set_right() -> None:
    now = NOW + timedelta(days=100)

    manual = by_hand(lambda: now)
    order = Order("key", CSR, REQUEST.spec.template.profile, timedelta(days=90), answer=to_pem((answer(),)))
    waits = await manual.submit(order)
    assert isinstance(waits, Pending)
    assert "the operator's clock is ahead" in waits.message
    now = NOW + AHEAD
    assert isinstance(await manual.submit(order), Issued)


async def test_a_private_key_among_what_was_imported_is_told_of() -> None:
    manual = by_hand(lambda: NOW + AHEAD)
    both = to_pem((answer(),)) + private_key_pem(KEY)
    waits = await manual.submit(Order("key", CSR, REQUEST.spec.template.profile, timedelta(days=90), answer=both))
    assert isinstance(waits, Pending)
    assert "there is a private key in it" in waits.message


async def test_what_was_imported_too_early_is_taken_when_it_is_valid() -> None:
    now = NOW

    manual = by_hand(lambda: now)
    order = Order("key", CSR, REQUEST.spec.template.profile, timedelta(days=90), answer=to_pem((answer(),)))
    waits = await manual.submit(order)
    assert isinstance(waits, Pending)
    assert waits.poll_after == timedelta(minutes=5)
    assert waits.message.startswith("what was imported is not valid yet: validity: it begins only at ")
    now += waits.poll_after
    assert isinstance(await manual.submit(order), Issued)


def test_backdating_has_bounds() -> None:
    assert backdate_of({}, "spec.ca") == timedelta(minutes=5)
    assert backdate_of({"backdate": "0s"}, "spec.ca") == timedelta(0)
    assert backdate_of({"backdate": "1h"}, "spec.ca") == MOST
    unfit: list[Any] = ["1h1s", "five", "", 5, [], "-1m"]
    for given in unfit:
        with pytest.raises(Misconfigured, match=r"spec\.ca\.backdate: write a duration of at most 1h"):
            backdate_of({"backdate": given}, "spec.ca")


def test_a_short_certificate_is_not_dated_back_by_more_than_it_is_valid() -> None:
    assert validity(NOW, timedelta(days=90), timedelta(minutes=5))[0] == NOW - timedelta(minutes=5)
    assert validity(NOW, timedelta(minutes=5), MOST) == (NOW - timedelta(minutes=5), NOW + timedelta(minutes=5))
