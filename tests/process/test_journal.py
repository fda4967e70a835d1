"""The lines of the log about one object: what they say, and how many there are at most."""

import logging

import pytest

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.parse_request import parse_request
from csr_operator.api.reasons import Reason
from csr_operator.api.secrets import Record
from csr_operator.control.journal import Journal, issued_text
from tests.support.entries import entries_of
from tests.support.manifests import request

WWW, API = (ObjectKey(Kind.CERTIFICATE_REQUEST, "web", name) for name in ("www", "api"))


def test_one_object_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    journal = Journal(lambda: now)
    with caplog.at_level(logging.INFO):
        for count in range(1000):
            journal.say(logging.INFO, WWW, f"line {count}")
        journal.say(logging.INFO, WWW, "again")
        assert len(caplog.messages) == 31
        assert "more than 30 lines in an hour" in caplog.messages[-1]

        journal.say(logging.INFO, API, "another")
        assert caplog.messages[-1] == "CertificateRequest web/api: another"
        now = 3600.0
        journal.say(logging.INFO, WWW, "an hour later")
        assert caplog.messages[-1] == "CertificateRequest web/www: an hour later"


def test_of_objects_that_came_and_went_nothing_is_kept_for_more_than_an_hour() -> None:
    now = 0.0
    journal = Journal(lambda: now)
    for number in range(1000):
        now += 60.0
        journal.say(logging.INFO, ObjectKey(Kind.CERTIFICATE_REQUEST, "web", f"www-{number}"), "issued")

    assert sum(entries_of(journal).values()) <= 61


def test_who_makes_objects_without_end_fills_no_memory() -> None:
    journal = Journal(lambda: 0.0)
    for number in range(30_000):
        journal.say(logging.DEBUG, ObjectKey(Kind.CERTIFICATE_REQUEST, "web", f"www-{number}"), "issued")

    assert sum(entries_of(journal).values()) <= 10_000


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, "1 name: www.example.com"),
        (
            {"dnsNames": [f"{n}.example.com" for n in "abcde"]},
            "5 names: a.example.com, b.example.com, c.example.com, ...",
        ),
        ({"dnsNames": ["a.example.com"], "ipAddresses": ["10.0.0.1"]}, "2 names: a.example.com, 10.0.0.1"),
        ({"commonName": "somebody"}, "subject somebody"),
    ],
)
def test_an_issuance_in_one_line(spec: dict[str, object], names: str) -> None:
    obj = request("www", "ca", **spec)
    obj["metadata"] |= {
        "namespace": "web",
        "uid": "1",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    record = Record(
        issuance_hash="",
        revision=2,
        serial_number="0AB1",
        not_before="2026-01-01T00:00:00Z",
        not_after="2026-04-01T00:00:00Z",
        sha256_fingerprint="",
        issuer_fingerprint="",
        issuer="Issuer/ca",
        renew="",
        csr="",
        outputs="",
        stored="2026-01-01T00:00:00Z",
    )

    said = issued_text(parse_request(obj), record, Reason.RENEWAL)

    assert said == (
        "issued by Issuer/ca because of Renewal: revision 2, serial number 0AB1, valid until 2026-04-01T00:00:00Z, "
        + names
    )
