"""Who has which shard: everything has one member, all come to the same result, and little moves."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csr_operator.api.replicas import NOBODY, Assignment
from csr_operator.api.shards import SHARDS, shard_of
from csr_operator.replicas.assignment import spread, to_give, to_take

MEMBERS = st.sets(st.sampled_from([f"csr-operator-{n}" for n in range(8)]), min_size=1)
HOLDERS = st.lists(
    st.sampled_from([NOBODY, "gone", *(f"csr-operator-{n}" for n in range(8))]), min_size=SHARDS, max_size=SHARDS
)


# Two versions that counted differently would work on one Secret both: these are for good.
@pytest.mark.parametrize(
    ("namespace", "name", "shard"), [("default", "www-tls", 55), ("shop", "www-tls", 17), ("", "letsencrypt", 51)]
)
def test_a_shard_is_the_same_in_every_version(namespace: str, name: str, shard: int) -> None:
    assert shard_of(namespace, name) == shard


def test_a_large_namespace_is_divided() -> None:
    counts = Counter(shard_of("shop", f"www-{n}-tls") for n in range(6400))
    assert len(counts) == SHARDS
    assert max(counts.values()) < 150


@given(MEMBERS)
def test_each_has_as_many_as_the_others_or_one_more(members: set[str]) -> None:
    counts = Counter(spread(members))
    assert {*counts} == members
    assert max(counts.values()) - min(counts.values()) <= SHARDS // len(members)
    assert max(counts.values()) == -(-SHARDS // len(members))


def test_few_move_when_a_member_goes_or_comes() -> None:
    for count in range(2, 8):
        members = [f"csr-operator-{n}" for n in range(count)]
        before, after = spread(members), spread(members[1:])
        moved = sum(old != new for old, new in zip(before, after, strict=True) if old != members[0])
        assert moved <= SHARDS // 4, count


@given(HOLDERS, MEMBERS)
def test_what_nobody_alive_has_is_taken_by_one_member(holders: list[str], members: set[str]) -> None:
    assignment = Assignment(3, tuple(holders))
    taken = [shard for member in members for shard in to_take(assignment, member, members, members)]
    assert sorted(taken) == [shard for shard, holder in enumerate(holders) if holder not in members]


@given(HOLDERS, MEMBERS)
def test_once_all_have_given_and_taken_nothing_moves_any_more(holders: list[str], members: set[str]) -> None:
    assignment = Assignment(3, tuple(holders))
    for member in sorted(members):
        moved = to_give(assignment, member, members) | to_take(assignment, member, members, members)
        assignment = assignment.having(moved, spread(members))
    assert assignment.holders == spread(members)
    assert not any(to_give(assignment, m, members) | to_take(assignment, m, members, members) for m in members)


@given(HOLDERS)
def test_it_is_read_as_it_was_written(holders: list[str]) -> None:
    assignment = Assignment(3, tuple(holders))
    assert Assignment.read(3, assignment.text) == assignment


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", '{"a": 1}', '{"a": [64]}', '{"a": [-1]}', '{"a": ["1"]}', '{"a": [true]}', '{"a": [1], "b": [1]}'],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Assignment.read(1, text)


def test_who_reads_it_sees_the_shards_of_each() -> None:
    members = ("a", "b")
    seen = json.loads(Assignment(1, spread(members)).text)
    assert sorted(seen["a"] + seen["b"]) == [*range(SHARDS)]
