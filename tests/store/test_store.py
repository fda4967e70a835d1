"""What the store makes of Secrets that go and come again under one name while something is done to them."""

from dataclasses import replace
from typing import Any

import pytest

from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.control.store import Store
from tests.support.entries import entries_of

FIRST = Staged("n", "www-order", "first", "10", "2026-06-01T00:00:00Z", "r", "h", 1, "Issuer/ca", "c", "42")
SECOND = replace(FIRST, uid="second", resource_version="20")


def named(name: str, created: str, *, namespace: str = "n", secret: str = "www-tls") -> CertificateRequest:
    """A request for this Secret and its own name."""
    metadata = {"namespace": namespace, "resourceVersion": "1", "generation": 1, "name": name, "uid": f"uid-{name}"}
    spec = {"secretName": secret, "issuerRef": {"name": "ca"}, "dnsNames": [f"{name}.example.com"]}
    return parse_request({"metadata": {**metadata, "creationTimestamp": created}, "spec": spec})


def store() -> Store:
    """There is a request in the namespace, which is for another Secret."""
    made = Store(changed=lambda key: None)
    made.put_request(named("any", "2026-06-01T00:00:00Z", secret="any-tls"))
    return made


def test_an_order_that_was_made_anew_is_not_forgotten_with_the_one_before() -> None:
    found = store()
    found.saw_secret(FIRST)
    found.saw_secret(replace(SECOND, deleted="2026-06-01T00:00:01Z"))
    found.finish(FIRST)  # whose end was heard of only now
    there = found.staged_at(SECOND.key)
    assert there is not None
    assert there.uid == "second"
    found.drop_staged(FIRST)
    found.abandon(FIRST, "2026-06-01T00:00:02Z")
    assert found.staged_at(SECOND.key) == there


def test_an_order_that_is_done_is_not_shown_again_by_a_late_event() -> None:
    found = store()
    found.saw_secret(FIRST)
    found.finish(FIRST)
    found.saw_secret(replace(FIRST, resource_version="11", deleted="2026-06-01T00:00:01Z"))
    assert found.staged_at(FIRST.key) is None
    found.saw_secret(SECOND)
    assert found.staged_at(SECOND.key) == SECOND


def test_an_order_that_was_done_before_any_event_told_of_it_is_not_shown_afterwards() -> None:
    found = store()
    found.finish(FIRST)
    found.saw_secret(FIRST)
    assert found.staged_at(FIRST.key) is None
    found.saw_no_secret(FIRST.key, "11")
    found.saw_secret(SECOND)
    assert found.staged_at(SECOND.key) == SECOND


def test_of_an_order_whose_end_was_shown_already_nothing_is_kept() -> None:
    found = store()
    found.saw_secret(FIRST)
    found.saw_no_secret(FIRST.key, "11")
    found.finish(FIRST)
    assert not found._finished


def test_what_is_to_be_taken_back_is_marked_as_it_was_seen_last() -> None:
    found = store()
    found.saw_secret(FIRST)
    found.saw_secret(replace(FIRST, resource_version="11", handle="43"))
    found.abandon(FIRST, "2026-06-01T00:00:02Z")
    there = found.staged_at(FIRST.key)
    assert there is not None
    assert (there.handle, there.deleted) == ("43", "2026-06-01T00:00:02Z")


OLD, YOUNG = named("old", "2026-06-01T00:00:00Z"), named("young", "2026-06-01T00:00:01Z")


@pytest.mark.parametrize(
    ("secret", "first"),
    [
        (None, "old"),
        ({}, "old"),
        ({"owner_uid": "uid-young"}, "young"),
        ({"owner_uid": "of-another", "issuance_hash": YOUNG.issuance_hash}, "young"),
        ({"retained_for": "young", "issuance_hash": OLD.issuance_hash}, "young"),
        ({"adopt": "young", "issuance_hash": OLD.issuance_hash}, "young"),
        # As after a removal with --cascade=orphan, or from a backup.
        ({"left_for": "", "issuance_hash": YOUNG.issuance_hash}, "young"),
        ({"left_for": "", "issuance_hash": OLD.issuance_hash}, "old"),
        ({"left_for": "", "issuance_hash": "of a spec before"}, "old"),
    ],
)
def test_of_those_that_name_a_secret_whose_it_is_or_was_comes_first(secret: dict[str, Any] | None, first: str) -> None:
    found = store()
    found.put_request(OLD)
    found.put_request(YOUNG)
    if secret is not None:
        found.put_secret(replace(SecretMeta("n", "www-tls", "s", "5", "", "", frozenset(), "", None), **secret))
    other = YOUNG if first == "old" else OLD
    assert found.rival(other) == first
    assert found.rival(OLD if first == "old" else YOUNG) == ""
    found.begin(other)  # until it is done, whatever is shown
    assert found.rival(other) == ""


def test_of_those_of_the_same_second_the_uid_decides_in_whatever_order_they_are_shown() -> None:
    same = [named(name, "2026-06-01T00:00:00Z") for name in ("b", "a")]
    for requests in (same, same[::-1]):
        found = store()
        for request in requests:
            found.put_request(request)
        assert [found.rival(request) for request in same] == ["a", ""]


def test_news_are_told_from_what_is_known() -> None:
    secret = SecretMeta("n", "www-tls", "s", "5", "r", "", frozenset(), "", None)
    found = store()
    assert found.put_secret(secret)
    assert not found.put_secret(secret)
    assert not found.put_secret(replace(secret, resource_version="4"))
    assert found.put_secret(replace(secret, resource_version="6"))


def test_of_namespaces_that_came_and_went_nothing_is_kept() -> None:
    found = Store(changed=lambda key: None)
    for number in range(100):
        request = named("www", "2026-06-01T00:00:00Z", namespace=f"n-{number}")
        secret = SecretMeta(request.namespace, "www-tls", "s", "5", request.uid, "", frozenset(), "", None)
        found.put_request(request)
        found.wrote_secret(secret)
        found.saw_secret(secret)
        found.drop_request(request.key, request.uid)
        found.saw_no_secret(secret.key, "6")
        found.wrote_secret(secret)  # whose answer is heard of only now
        assert found.secret_at(secret.key) is None
        assert found.rival(request) == ""
    assert not any(entries_of(found).values())


def test_where_shards_are_let_go_of_nothing_is_kept_of_their_namespaces() -> None:
    found = store()
    found.saw_secret(SecretMeta("n", "www-tls", "s", "5", "r", "", frozenset(), "", None))
    found.let_go(range(64))
    assert not any(entries_of(found).values())


def test_an_order_that_is_done_and_whose_end_no_watch_shows_is_forgotten_when_a_list_does_not_show_it() -> None:
    found = store()
    found.saw_secret(FIRST)
    found.finish(FIRST)
    for key in found.secret_keys("n"):
        found.saw_no_secret(key, "12")
    assert not entries_of(found)["_finished"]
