"""What a backend remembers of its orders is bounded, and what it looked at last stays."""

from csr_operator.plugin.recent import Recent


def test_of_more_than_there_is_room_for_those_go_that_were_set_longest_ago() -> None:
    recent: Recent[int, str] = Recent(3)
    for number in range(4):
        recent[number] = "new"
    assert [*recent] == [1, 2, 3]
    recent[1] = "set again"
    recent.setdefault(4, "new")
    assert [*recent.items()] == [(3, "new"), (1, "set again"), (4, "new")]
    recent.update({5: "new", 3: "set again"})
    assert [*recent] == [4, 5, 3]
    assert recent.pop(2, None) is None


def test_orders_without_end_fill_no_memory() -> None:
    recent: Recent[int, None] = Recent()
    for number in range(30_000):
        recent[number] = None
    assert len(recent) == 10_000
