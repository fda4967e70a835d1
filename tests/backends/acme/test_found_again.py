"""An order whose URL was lost in a crash is found in the account's list, by who goes on."""

from csr_operator.plugin.backend import Order
from tests.support.acme_world import World, csr, order, submitted

MANY = 104
"""More than are looked at."""


def repeated(asked: Order) -> Order:
    """As whoever goes on asks for it."""
    return Order(asked.key, asked.csr, asked.profile, asked.duration, repeated=True)


async def test_however_many_this_process_has_placed_since(world: World) -> None:
    """As a replica does that takes over in the middle of its own."""
    lost = order()
    handle = await submitted(world.again(), lost)
    survivor = world.again()
    for number in range(MANY):
        await submitted(survivor, order(f"key-{number}", f"host-{number}.example.com"))

    assert await submitted(survivor, repeated(lost)) == handle


async def test_one_after_the_other_however_many_others_place_meanwhile(world: World) -> None:
    dead, survivor, third = world.again(), world.again(), world.again()
    lost = [order(f"lost-{number}", f"lost-{number}.example.com") for number in range(3)]
    handles = [await submitted(dead, each) for each in lost]
    for number, each in enumerate(lost):
        assert await submitted(survivor, repeated(each)) == handles[number]
        for host in range(MANY // 2):
            name = f"host-{number}-{host}"
            await submitted(third, order(name, f"{name}.example.com"))


async def test_no_more_than_a_hundred_of_others_are_looked_at_each_once(world: World) -> None:
    before, survivor = world.again(), world.again()
    csrs = [csr(f"host-{number}.example.com") for number in range(MANY)]
    for number, each in enumerate(csrs):
        await submitted(before, Order(f"key-{number}", each, order().profile, order().duration))

    for number in range(3):
        placed = world.ca.asked("new-order")
        await submitted(survivor, repeated(order(f"new-{number}", f"new-{number}.example.com")))
        assert world.ca.asked("new-order") == placed + 1
    assert world.ca.asked("order") == 100
