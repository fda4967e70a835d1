"""Keys that take long are made in turn, a few ahead, and each is one request's own."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.issuance import keymaker
from csr_operator.issuance.keymaker import KeyMaker
from csr_operator.pki.keys import KeyParameters, PrivateKey
from tests.support.kubectl import wait_until
from tests.support.manifests import request

ISSUER, OTHER = (ObjectKey(Kind.CLUSTER_ISSUER, "", name) for name in ("one", "other"))
PATIENCE = 30.0


def asking(namespace: str, name: str, size: int = 2048, uid: str = "") -> CertificateRequest:
    obj = request(name, "one", privateKey={"algorithm": "RSA", "size": size})
    obj["metadata"] |= {
        "namespace": namespace,
        "uid": uid or f"{namespace}/{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return parse_request(obj)


class Workshop:
    """A KeyMaker whose keys are made when the test says so, and who was told that its key is made."""

    def __init__(self) -> None:
        self.begun: list[int | None] = []
        self.told: asyncio.Queue[ObjectKey] = asyncio.Queue()
        self.keys = KeyMaker(self.told.put_nowait)
        self.go_on = threading.Semaphore(0)

    def generate(self, parameters: KeyParameters) -> PrivateKey:
        self.begun.append(parameters.size)
        assert self.go_on.acquire(timeout=PATIENCE)
        return ec.generate_private_key(ec.SECP256R1())  # what it is does not matter here

    async def next_told(self) -> ObjectKey:
        self.go_on.release()
        return await asyncio.wait_for(self.told.get(), PATIENCE)


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """With two threads, as on two cores."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    shop = Workshop()
    monkeypatch.setattr(keymaker, "generate", shop.generate)
    yield shop
    shop.go_on.release(1000)  # whoever makes a key still


async def test_a_key_is_made_as_it_is_asked_for_and_stays_until_it_is_dropped() -> None:
    told: asyncio.Queue[ObjectKey] = asyncio.Queue()
    keys, one = KeyMaker(told.put_nowait), asking("team-a", "www", 3072)
    assert keys.get(one, ISSUER) is None
    assert await asyncio.wait_for(told.get(), PATIENCE) == one.key
    made = keys.get(one, ISSUER)
    assert isinstance(made, rsa.RSAPrivateKey)
    assert made.key_size == 3072
    assert keys.get(one, ISSUER) is made
    keys.drop(one.key)
    assert one.key not in keys
    assert keys.get(one, ISSUER) is None


async def test_namespaces_come_in_turn(workshop: Workshop) -> None:
    many, few = [asking("team-a", f"r{n}") for n in range(40)], asking("team-b", "www")
    for one in (*many, few):
        assert workshop.keys.get(one, ISSUER) is None
    told = []
    while few.key not in told:
        told.append(await workshop.next_told())
        workshop.keys.drop(told[-1])
    assert len(told) <= 4


async def test_sizes_that_take_minutes_hold_up_no_others(workshop: Workshop) -> None:
    slow, quick = [asking("team-a", f"r{n}", 8192) for n in range(40)], asking("team-b", "www")
    for one in (*slow, quick):
        workshop.keys.get(one, ISSUER)
    wait_until("two are begun", lambda: len(workshop.begun) == 2)
    assert Counter(workshop.begun) == {8192: 1, 2048: 1}


async def test_few_lie_ready_for_an_issuer_that_signs_none_and_its_neighbour_gets_its_own(workshop: Workshop) -> None:
    stuck, fine = [asking("team-a", f"r{n}") for n in range(40)], asking("team-a", "fine")
    for one in stuck:
        workshop.keys.get(one, ISSUER)
    for _ in range(4):
        await workshop.next_told()
    workshop.keys.get(fine, OTHER)
    assert await workshop.next_told() == fine.key
    assert len(workshop.begun) == 5
    workshop.keys.drop(stuck[0].key)  # it is used
    assert await workshop.next_told() == stuck[4].key


async def test_who_is_gone_or_asks_for_another_gets_none_of_it(workshop: Workshop) -> None:
    gone, changed = asking("team-a", "gone"), asking("team-a", "changed")
    workshop.keys.get(gone, ISSUER)
    workshop.keys.get(changed, ISSUER)
    workshop.keys.drop(gone.key)
    later = asking("team-a", "changed", 4096)
    assert workshop.keys.get(later, ISSUER) is None
    workshop.go_on.release(2)
    assert await workshop.next_told() == later.key
    assert workshop.told.empty()
    anew = asking("team-a", "changed", 4096, uid="another")
    assert workshop.keys.get(anew, ISSUER) is None, "a request of the same name has another key"


async def test_who_asks_for_a_key_that_cannot_be_made_is_told_and_the_next_one_has_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: KeyParameters) -> PrivateKey:
        raise MemoryError

    told: asyncio.Queue[ObjectKey] = asyncio.Queue()
    keys, requests = KeyMaker(told.put_nowait), [asking("team-a", f"r{n}") for n in range(10)]
    monkeypatch.setattr(keymaker, "generate", fail)
    for one in requests:
        keys.get(one, ISSUER)
    for one in requests:
        assert await asyncio.wait_for(told.get(), PATIENCE) == one.key
        with pytest.raises(MemoryError):
            keys.get(one, ISSUER)
        assert one.key not in keys
