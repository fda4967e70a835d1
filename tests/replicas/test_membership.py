"""Members and their shards, by Leases of a real API server. Time is set, and not waited for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from csr_operator.api.names import REPLICAS_LABEL
from csr_operator.api.replicas import Group, read_group
from csr_operator.api.shards import SHARDS
from csr_operator.kube.leases import Leases
from csr_operator.kube.transport import Transport
from csr_operator.replicas.fencing import Holding
from csr_operator.replicas.members import new_lease
from csr_operator.replicas.membership import Membership
from devcluster import ControlPlane
from tests.support.kubectl import Kubectl

ALL = frozenset(range(SHARDS))
GROUP = Group()


def utc_now() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Seconds, set by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """Work that notes what it is told; what is in `busy` goes on."""

    def __init__(self) -> None:
        self.has: frozenset[int] = frozenset()
        self.busy: frozenset[int] = frozenset()
        self.dropped: list[frozenset[int]] = []

    def take(self, shards: frozenset[int]) -> None:
        assert not self.has & shards
        self.has |= shards

    def give_up(self, shards: frozenset[int]) -> frozenset[int]:
        return shards - self.busy

    def drop(self, shards: frozenset[int]) -> None:
        self.has -= shards
        self.busy -= shards
        self.dropped.append(shards)


class Member:
    """One, with a clock that all of a test share, or its own."""

    def __init__(self, transport: Transport, namespace: str, clock: Clock, group: Group) -> None:
        self.work, self.holding, self.lost = Recorder(), Holding(clock), list[str]()
        self.identity = f"pod-{id(self)}/a/b/1/2"
        leases = Leases(transport, namespace)
        now = lambda: datetime.now(UTC)  # noqa: E731
        lost = lambda lease: self.lost.append(lease["metadata"]["name"])  # noqa: E731
        self.membership = Membership(leases, group, self.holding, self.work, now, lost, self.identity, clock)

    async def turn(self, times: int = 1) -> None:
        for _ in range(times):
            await self.membership.turn()

    @property
    def acts_on(self) -> frozenset[int]:
        return frozenset(shard for shard in ALL if self.holding.holds(shard))


class Scene:
    """Members of one namespace."""

    def __init__(self, transport: Transport, kubectl: Kubectl) -> None:
        self.kubectl, self.clock, self._transport = kubectl, Clock(), transport
        self.leases = Leases(transport, kubectl.namespace)

    def member(self, clock: Clock | None = None, group: Group = GROUP) -> Member:
        return Member(self._transport, self.kubectl.namespace, clock or self.clock, group)

    async def settled(self, *members: Member) -> None:
        """Each has had its turns, with time in between that renews all Leases."""
        for _ in range(3):
            for member in members:
                await member.turn(2)
            self.clock.now += 6
        for member in members:
            await member.turn()


@asynccontextmanager
async def transport_of(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Transport]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    transport = await Transport.connect(4, 30.0, 90.0)
    try:
        yield transport
    finally:
        await transport.close()


@pytest.fixture
async def scene(cluster: ControlPlane, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with transport_of(cluster.kubeconfig, monkeypatch) as transport:
        yield Scene(transport, kubectl)


async def test_one_alone_has_everything_without_waiting(scene: Scene) -> None:
    only = scene.member()
    await only.turn(2)
    assert only.acts_on == ALL


async def test_after_one_that_ended_as_it_should_the_next_has_everything_without_waiting(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await first.turn(2)
    await first.membership.leave(1.0)
    assert not first.acts_on
    await second.turn(2)
    assert second.acts_on == ALL


async def test_two_share_and_nothing_is_with_both(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await first.turn(2)
    await second.turn()
    assert not second.acts_on
    await scene.settled(first, second)
    assert first.acts_on | second.acts_on == ALL
    assert not first.acts_on & second.acts_on
    assert len(first.acts_on) == SHARDS // 2


async def test_what_goes_on_in_a_shard_is_done_before_it_is_given(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await first.turn(2)
    first.work.busy = ALL
    await scene.settled(first, second)
    assert first.acts_on == ALL
    first.work.busy = frozenset()
    await scene.settled(first, second)
    assert len(second.acts_on) == SHARDS // 2


async def test_the_shards_of_one_that_is_dead_are_taken_and_it_has_none_when_it_wakes(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    name = first.membership.name
    for _ in range(4):
        scene.clock.now += 4.9
        await second.turn()
    assert second.lost == [name]
    await second.turn()
    assert second.acts_on == ALL
    assert not first.acts_on
    await first.turn()
    assert first.work.has == frozenset()
    assert first.membership.name != name
    await scene.settled(first, second)
    assert len(first.acts_on) == SHARDS // 2


async def test_one_that_was_stopped_for_a_while_does_nothing_until_it_has_looked(scene: Scene) -> None:
    only = scene.member()
    await only.turn(2)
    scene.clock.now += 10.1
    assert not only.acts_on
    await only.turn()
    assert only.acts_on == ALL
    assert not only.work.dropped


async def test_nobody_is_taken_for_dead_while_nobody_could_look(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    before = first.acts_on, second.acts_on
    scene.clock.now += 60
    assert not first.acts_on
    assert not second.acts_on
    for member in (first, second, first, second):
        await member.turn()
    assert (first.acts_on, second.acts_on) == before
    assert not first.lost
    assert not second.lost


async def test_somebody_who_annotates_a_lease_stops_nothing(scene: Scene) -> None:
    only = scene.member()
    await only.turn(2)
    scene.kubectl("annotate", "lease", only.membership.name, "who=me")
    scene.clock.now += 6
    await only.turn(2)
    assert only.acts_on == ALL
    assert not only.work.dropped


async def test_a_lease_that_is_deleted_is_noticed_and_the_member_joins_anew(scene: Scene) -> None:
    only = scene.member()
    await only.turn(2)
    scene.kubectl("delete", "lease", only.membership.name)
    await only.turn()
    assert not only.acts_on
    await only.turn(3)
    assert only.acts_on == ALL


async def test_what_one_has_whose_lease_was_deleted_is_nobody_elses_before_it_has_noticed(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    scene.kubectl("delete", "lease", first.membership.name)
    await second.turn(3)
    assert not first.acts_on & second.acts_on
    await first.turn(2)
    assert not first.acts_on & second.acts_on
    scene.clock.now += 9.9
    await second.turn(2)
    scene.clock.now += 0.2
    await scene.settled(first, second)
    assert first.acts_on | second.acts_on == ALL
    assert not first.acts_on & second.acts_on
    assert not second.lost


async def test_all_leases_are_deleted_and_nothing_is_with_both(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    scene.kubectl("delete", "lease", "--all")
    await first.turn(4)
    assert second.acts_on  # it has not looked yet
    assert not first.acts_on & second.acts_on
    for _ in range(5):
        await second.turn(2)
        await first.turn(2)
        assert not first.acts_on & second.acts_on
        scene.clock.now += 4
    await scene.settled(first, second)
    assert first.acts_on | second.acts_on == ALL
    assert not first.acts_on & second.acts_on


async def test_the_shards_of_one_that_is_dead_are_those_of_all_others_at_once(scene: Scene) -> None:
    members = [scene.member() for _ in range(3)]
    await scene.settled(*members)
    dead, second, third = members
    for _ in range(4):
        scene.clock.now += 4.9
        await second.turn()
        await third.turn()
    await second.turn()
    await third.turn()
    assert second.acts_on | third.acts_on == ALL
    assert not second.acts_on & third.acts_on
    assert not dead.acts_on


async def test_a_lease_that_somebody_spoiled_is_put_right(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    name = first.membership.name
    scene.kubectl("annotate", "lease", name, "csr-operator.dev/leaving=true")
    scene.kubectl("patch", "lease", name, "--type=json", '-p=[{"op": "remove", "path": "/spec"}]')
    await scene.settled(first, second)
    assert first.membership.name == name
    assert scene.kubectl.get("lease", name)["spec"]["holderIdentity"] == first.identity
    assert first.acts_on | second.acts_on == ALL
    assert len(first.acts_on) == SHARDS // 2


async def test_thousands_of_leases_that_nobody_renews_keep_nobody_from_working(scene: Scene) -> None:
    for number in range(1200):
        await scene.leases.create(new_lease(f"a-{number}", GROUP, f"pod-{number}/a/b/1/2/3", utc_now()))
    only = scene.member()
    name = None
    for _ in range(4):
        await only.turn()
        name = name or only.membership.name
        scene.clock.now += 5
    await only.turn()
    assert only.acts_on == ALL
    await only.turn(11)
    assert only.membership.name == name
    assert len(await scene.leases.list(REPLICAS_LABEL)) == 2


@pytest.mark.parametrize("text", ["nonsense", '{"nobody": [64]}', "[" * 10_000])
async def test_an_assignment_that_cannot_be_read_is_nobodys_and_is_written_anew(scene: Scene, text: str) -> None:
    only = scene.member()
    await only.turn(2)
    scene.kubectl("annotate", "--overwrite", "lease", GROUP.assignment_name, f"csr-operator.dev/shards={text}")
    await only.turn()
    assert not only.acts_on
    for _ in range(4):
        scene.clock.now += 5
        await only.turn(2)
    assert only.acts_on == ALL


async def test_an_assignment_that_is_deleted_is_made_anew_once_all_have_seen_that(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    scene.kubectl("delete", "lease", GROUP.assignment_name)
    await first.turn()
    assert not first.acts_on
    await first.turn()
    assert not first.acts_on  # the other one may not have seen it yet
    for _ in range(5):
        scene.clock.now += 4
        await first.turn()
        await second.turn()
    await scene.settled(first, second)
    assert first.acts_on | second.acts_on == ALL
    assert not first.acts_on & second.acts_on


async def test_one_that_ends_gives_its_shards_to_the_others(scene: Scene) -> None:
    first, second = scene.member(), scene.member()
    await scene.settled(first, second)
    first.work.busy = frozenset({*first.acts_on} - {min(first.acts_on)})
    await first.membership.leave(0.0)
    assert not first.acts_on
    await second.turn()
    assert second.acts_on == ALL
    assert not second.lost
    names = [lease["metadata"]["name"] for lease in await scene.leases.list(REPLICAS_LABEL)]
    assert sorted(names) == sorted([second.membership.name, GROUP.assignment_name])


async def test_a_lease_of_its_own_that_is_left_is_deleted_and_nobody_is_lost(scene: Scene) -> None:
    """Such as one of which it was not told that it was created."""
    only = scene.member()
    await scene.leases.create(new_lease("left", GROUP, only.identity, utc_now()))
    await only.turn(2)
    assert only.acts_on == ALL
    assert not only.lost
    names = {lease["metadata"]["name"] for lease in await scene.leases.list(REPLICAS_LABEL)}
    assert names == {only.membership.name, GROUP.assignment_name}


async def test_the_assignment_says_for_which_namespaces_it_is(scene: Scene) -> None:
    group = Group.of(["shop", "bank", "shop"])
    only = scene.member(group=group)
    await only.turn(2)
    lease = scene.kubectl.get("lease", group.assignment_name)
    assert lease["metadata"]["annotations"]["csr-operator.dev/namespaces"] == "bank,shop"
    assert read_group(lease) == group


@pytest.mark.parametrize(
    ("before", "after"),
    [(["shop"], ["shop", "bank"]), (["shop", "bank"], ["shop"]), ([], ["shop"]), (["shop"], [])],
    ids=["one more namespace", "one less", "some instead of all", "all instead of some"],
)
async def test_where_the_namespaces_are_changed_the_new_ones_begin_when_the_old_have_ended(
    scene: Scene, before: list[str], after: list[str]
) -> None:
    """As a Deployment is rolled out: one more, and then one less."""
    old = [scene.member(group=Group.of(before)) for _ in range(2)]
    await scene.settled(*old)
    new = [scene.member(group=Group.of(after))]
    await scene.settled(*old, *new)
    assert not new[0].acts_on
    assert old[0].acts_on | old[1].acts_on == ALL
    await old[0].membership.leave(1.0)
    new.append(scene.member(group=Group.of(after)))
    await scene.settled(old[1], *new)
    assert not new[0].acts_on | new[1].acts_on
    assert old[1].acts_on == ALL
    await old[1].membership.leave(1.0)
    await scene.settled(*new)
    assert new[0].acts_on | new[1].acts_on == ALL


async def test_what_one_with_other_namespaces_had_is_taken_when_it_is_dead(scene: Scene) -> None:
    old, new = scene.member(group=Group.of(["shop"])), scene.member()
    await scene.settled(old)
    for _ in range(4):
        await new.turn()
        assert not new.acts_on
        scene.clock.now += 4.9
    await new.turn(2)
    assert new.acts_on == ALL


async def test_of_two_that_began_at_once_with_a_namespace_in_common_one_goes_on(scene: Scene) -> None:
    one, other = scene.member(group=Group.of(["shop", "bank"])), scene.member(group=Group.of(["shop"]))
    await one.turn(2)
    await scene.leases.delete(scene.kubectl.get("lease", one.membership.name))
    await other.turn(2)
    assert other.acts_on == ALL
    await scene.settled(one, other)
    assert sorted([one.acts_on, other.acts_on], key=len) == [frozenset(), ALL]


async def test_those_that_have_no_namespace_in_common_do_not_wait_for_each_other(scene: Scene) -> None:
    one, other = scene.member(group=Group.of(["shop"])), scene.member(group=Group.of(["bank"]))
    await scene.settled(one, other)
    assert one.acts_on == other.acts_on == ALL


async def test_three_members_write_less_than_once_in_four_seconds(scene: Scene) -> None:
    members = [scene.member() for _ in range(3)]
    await scene.settled(*members)
    await scene.settled(*members)
    versions = set()
    for _ in range(60):
        scene.clock.now += 1
        for member in members:
            await member.turn()
        for lease in await scene.leases.list(REPLICAS_LABEL):
            versions.add((lease["metadata"]["name"], lease["metadata"]["resourceVersion"]))
    assert len(versions) <= 1 + 3 * (60 // 5 + 1)
