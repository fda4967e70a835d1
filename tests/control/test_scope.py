"""Which shards are worked on: not before all in them is known, and not for what began before they were let go of."""

import pytest

from csr_operator.control.scope import Scope
from csr_operator.fence import Fenced, check_fence


def test_nothing_begins_in_what_was_taken_before_all_in_it_is_known() -> None:
    scope = Scope()
    scope.take(frozenset({1, 2}))
    first = scope.takings
    scope.take(frozenset({3}))
    assert {1, 2, 3} <= {shard for shard in range(64) if shard in scope}  # it is filed already
    assert not any(map(scope.may_begin, (1, 2, 3)))

    scope.filed(first)
    assert [scope.may_begin(shard) for shard in (1, 2, 3)] == [True, True, False]
    scope.filed(scope.takings)
    assert scope.may_begin(3)


def test_what_was_known_of_a_shard_before_it_was_another_replicas_does_not_count() -> None:
    scope = Scope()
    scope.take(frozenset({1}))
    first = scope.takings
    scope.drop(frozenset({1}))
    scope.take(frozenset({1}))
    scope.filed(first)
    assert not scope.may_begin(1)


def test_what_began_before_a_shard_was_let_go_of_does_not_go_on_when_it_comes_back() -> None:
    scope = Scope.whole()
    with scope.fence(7):
        check_fence()
        scope.drop(frozenset({7}))
        scope.take(frozenset({7}))
        with pytest.raises(Fenced):
            check_fence()
    with scope.fence(7):
        check_fence()


def test_what_is_in_no_shard_always_may() -> None:
    scope = Scope()
    assert scope.may_begin(None)
    with scope.fence(None):
        check_fence()
