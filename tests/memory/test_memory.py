"""What is remembered of objects, and that nothing of it stays when they are gone: an operator runs for months."""

from dataclasses import replace
from datetime import UTC, datetime

from csr_operator.decide import Waiting
from csr_operator.issuers import Readers
from csr_operator.memory import Memory
from csr_operator.model import CertificateRequest, Kind, ObjectKey, SecretKey
from csr_operator.parse import parse_request
from csr_operator.repairs import Repairs
from csr_operator.store import Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ORDER = Waiting(uid="order", message="is being looked at", poll_at=NOW, imported="", remind_at=None, since=NOW)


def named(name: str, uid: str) -> CertificateRequest:
    metadata = {"namespace": "n", "resourceVersion": "1", "generation": 1, "name": name, "uid": uid}
    spec = {"secretName": f"{name}-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["www.example.com"]}
    return parse_request({"metadata": metadata, "spec": spec})


WWW, WWW_ANEW = named("www", "first"), named("www", "second")


class Scene:
    """A store with the memory of what is in it."""

    def __init__(self, *requests: CertificateRequest) -> None:
        self.store = Store(changed=lambda key: None)
        self.memory = Memory(self.store.knows)
        for request in requests:
            self.store.put_request(request)

    def delete(self, request: CertificateRequest) -> None:
        assert self.store.drop_request(request.key, request.uid)
        self.memory.forget(request.key)


def test_one_thing_is_remembered_beside_the_other() -> None:
    scene = Scene(WWW)
    scene.memory.keep(WWW, waiting=ORDER)
    changed = replace(WWW, resource_version="2", generation=2)
    scene.store.put_request(changed)
    scene.memory.keep(changed, repairs=Repairs(1, 5.0))
    remembered = scene.memory.recall(changed)
    assert (remembered.waiting, remembered.repairs) == (ORDER, Repairs(1, 5.0))
    scene.memory.keep(changed, waiting=None)
    assert scene.memory.recall(changed).waiting is None


def test_nothing_stays_of_requests_that_are_deleted_while_their_order_is_placed() -> None:
    requests = [named(f"r{n}", f"uid-{n}") for n in range(20)]
    scene = Scene(*requests)
    for request in requests:
        scene.memory.keep(request, consult=("reference", NOW))
        scene.delete(request)
        scene.memory.keep(request, waiting=ORDER)  # the CA has answered
    assert len(scene.memory) == 0


def test_one_that_is_made_anew_starts_afresh() -> None:
    scene = Scene(WWW)
    scene.memory.keep(WWW, waiting=ORDER)
    scene.store.put_request(WWW_ANEW)  # that the one before was deleted, no watch has told
    nothing = Memory(lambda uid: True).recall(WWW)
    assert scene.memory.recall(WWW_ANEW) == nothing
    scene.memory.keep(WWW_ANEW, repairs=Repairs(1, 5.0))
    scene.memory.keep(WWW, waiting=ORDER)  # what was under way for the one before
    assert scene.memory.recall(WWW_ANEW) == replace(nothing, repairs=Repairs(1, 5.0))
    scene.delete(WWW_ANEW)
    assert len(scene.memory) == 0


def test_who_is_gone_reads_no_secret() -> None:
    one, other = (ObjectKey(Kind.ISSUER, "n", name) for name in ("one", "other"))
    shared, own = SecretKey("n", "shared"), SecretKey("n", "own")
    readers = Readers()
    for issuer, secret in ((one, shared), (one, own), (other, shared)):
        readers.add(issuer, secret)
    assert readers.of(shared) == {one, other}
    readers.forget(one)
    assert (readers.of(shared), readers.of(own), len(readers)) == ({other}, set(), 1)
    readers.forget(other)
    assert len(readers) == 0
