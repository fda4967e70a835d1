"""One record for each request that there is, and none of one that is gone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.parse_request import parse_request
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, Wishes
from csr_operator.control.memory import Memory
from csr_operator.control.queue import FIRST_RETRY, LAST_RETRY
from csr_operator.control.store import Store
from csr_operator.decisions.world import Failure

FAILURE = Failure(
    reason=Reason.REJECTED,
    message="no",
    issuer=None,
    generation=1,
    wishes=Wishes(),
    version="",
    retry_at=None,
    needs_user=True,
    since=datetime(2026, 1, 1, tzinfo=UTC),
)


def request(name: str, uid: str = "") -> CertificateRequest:
    metadata = {"namespace": "n", "resourceVersion": "1", "generation": 1, "name": name, "uid": uid or f"uid-{name}"}
    spec: dict[str, Any] = {"secretName": name, "issuerRef": {"name": "ca"}, "dnsNames": [f"{name}.example.com"]}
    return parse_request({"metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec})


def test_what_is_noted_of_a_request_is_there_until_it_is_gone() -> None:
    store = Store(changed=lambda _: None)
    memory, www = Memory(store.knows), request("www")
    store.put_request(www)
    memory.recall(www).warned = ("uid", ("record",))
    assert memory.recall(www).warned == ("uid", ("record",))

    store.drop_request(www.key, www.uid)
    memory.forget(www.uid)
    assert memory.recall(www).warned is None


def test_nothing_stays_of_requests_that_went_while_they_were_worked_on() -> None:
    store = Store(changed=lambda _: None)
    memory = Memory(store.knows)
    for n in range(20):
        gone = request(f"gone-{n}")
        store.put_request(gone)
        at_work = memory.recall(gone)
        store.drop_request(gone.key, gone.uid)
        memory.forget(gone.uid)
        at_work.attempts += 1
        memory.recall(gone).attempts += 1  # what the work that was under way still notes
    assert len(memory) == 0


def test_a_request_that_names_another_issuer_again_and_again_keeps_no_failure_of_the_others() -> None:
    store = Store(changed=lambda _: None)
    memory, www = Memory(store.knows), request("www")
    store.put_request(www)
    remembered = memory.recall(www)
    for number in range(20):
        issuer = ObjectKey(Kind.ISSUER, "n", f"ca-{number}")
        remembered.note_failure(FAILURE, [issuer])
        remembered.note_failure(replace(FAILURE, issuer=issuer), [issuer])
    assert {*remembered.failures} == {None, issuer}


def test_one_that_is_made_anew_under_its_name_starts_afresh() -> None:
    store = Store(changed=lambda _: None)
    memory, first, second = Memory(store.knows), request("www", "1"), request("www", "2")
    store.put_request(first)
    memory.recall(first).count_failure(timedelta(0))
    store.put_request(second)
    assert memory.recall(second).attempts == 0


def test_pauses_grow_up_to_a_minute_and_are_never_shorter_than_asked_for() -> None:
    store = Store(changed=lambda _: None)
    memory, www = Memory(store.knows), request("www")
    store.put_request(www)
    remembered = memory.recall(www)
    waits = [remembered.count_failure(timedelta(0)).total_seconds() for _ in range(20)]
    assert FIRST_RETRY / 2 <= waits[0] <= FIRST_RETRY
    assert FIRST_RETRY <= waits[1] <= FIRST_RETRY * 2
    assert LAST_RETRY / 2 <= waits[-1] <= LAST_RETRY
    assert remembered.count_failure(timedelta(hours=1)) == timedelta(hours=1)
    remembered.succeeded()
    assert remembered.count_failure(timedelta(0)).total_seconds() <= FIRST_RETRY
