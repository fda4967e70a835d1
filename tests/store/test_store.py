"""What the store makes of Secrets that go and come again under one name while something is done to them."""

from dataclasses import replace

from csr_operator.model import SecretMeta, Staged
from csr_operator.store import Store

FIRST = Staged("n", "www-order", "first", "10", "2026-06-01T00:00:00Z", "r", "h", 1, "Issuer/ca", "c", "42")
SECOND = replace(FIRST, uid="second", resource_version="20")


def store() -> Store:
    return Store(changed=lambda key: None)


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


def test_what_is_to_be_taken_back_is_marked_as_it_was_seen_last() -> None:
    found = store()
    found.saw_secret(FIRST)
    found.saw_secret(replace(FIRST, resource_version="11", handle="43"))
    found.abandon(FIRST, "2026-06-01T00:00:02Z")
    there = found.staged_at(FIRST.key)
    assert there is not None
    assert (there.handle, there.deleted) == ("43", "2026-06-01T00:00:02Z")


def test_news_are_told_from_what_is_known() -> None:
    secret = SecretMeta("n", "www-tls", "s", "5", "r", "", frozenset(), "", None)
    found = store()
    assert found.put_secret(secret)
    assert not found.put_secret(secret)
    assert not found.put_secret(replace(secret, resource_version="4"))
    assert found.put_secret(replace(secret, resource_version="6"))
