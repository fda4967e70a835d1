"""Which replica works on a request, as the Leases say: from what was read, without a cluster."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csr_operator.api.names import NAMESPACES_ANNOTATION, SHARDS_ANNOTATION
from csr_operator.api.parse_request import parse_request
from csr_operator.api.replicas import Assignment, Group, Process
from csr_operator.api.shards import SHARDS
from csr_operator.cli.replica import holder_of, replica_details, replica_words
from tests.support.manifests import request

NOW = datetime(2026, 6, 1, tzinfo=UTC)
POD = Process("csr-operator-7d9f8-abcde", "u-1", "node-1", "boot", "pids", "1", "100")
OUTSIDE = Process("", "", "workstation", "boot", "pids", "4711", "100")


def ask(*leases: dict[str, Any], namespace: str = "shop") -> str:
    """What people are told; empty if nothing."""
    obj = request("www", "ca")
    obj["metadata"] |= {
        "namespace": namespace,
        "uid": "1",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    holder = holder_of(parse_request(obj), leases)
    if holder is None:
        return ""
    assert holder.shard == 17
    json.dumps(replica_details(holder))
    return replica_words(holder, NOW)


def member(name: str, process: Process | None = POD, seconds_ago: float = 3) -> dict[str, Any]:
    renewed = (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec: dict[str, Any] = {"renewTime": renewed}
    return {"metadata": {"name": name}, "spec": spec | ({"holderIdentity": process.identity} if process else {})}


def assignment(holder: str, *namespaces: str, **annotations: str) -> dict[str, Any]:
    group = Group.of(namespaces)
    annotations = {SHARDS_ANNOTATION: Assignment(1, (holder,) * SHARDS).text, **annotations}
    if namespaces:
        annotations[NAMESPACES_ANNOTATION] = ",".join(group.namespaces)
    return {
        "metadata": {"name": group.assignment_name, "annotations": annotations},
        "spec": {"leaseTransitions": 1},
    }


def test_it_is_named_as_a_human_finds_it() -> None:
    assert ask(assignment("a"), member("a")) == "pod csr-operator-7d9f8-abcde (shard 17 of 64)"
    assert ask(assignment("a"), member("a", OUTSIDE)) == "process 4711 on host workstation (shard 17 of 64)"
    assert ask(assignment("a"), member("a", None)) == "Lease a (shard 17 of 64)"


def test_one_that_is_silent_is_told_of() -> None:
    said = ask(assignment("a"), member("a", seconds_ago=300))
    assert said.endswith(", which has not been heard of since 2026-05-31T23:55:00.000000Z (5m ago)")


def test_where_nobody_works_on_it_that_is_said() -> None:
    assert ask(assignment("")).startswith("none now (shard 17 of 64): does the operator run?")
    assert ask(assignment("a")) == "none now (shard 17 of 64): a is gone, and another one is to take over"


def test_of_several_operators_it_is_the_one_that_watches_the_namespace() -> None:
    others = (assignment("b", "web", "ci"), member("b", OUTSIDE))
    assert ask(*others) == ""
    assert ask(*others, namespace="kube-system") == ""
    assert ask(*others, assignment("a", "shop", "bank"), member("a")).startswith("pod ")
    # One that ended, and had other arguments, hides nobody.
    assert ask(assignment("", "shop"), assignment("a"), member("a")).startswith("pod ")
    assert ask(assignment("gone"), assignment("a", "shop", "bank"), member("a")).startswith("pod ")


@pytest.mark.parametrize("text", ["nonsense", '{"a": [64]}', "[" * 10_000])
def test_what_cannot_be_read_is_not_told(text: str) -> None:
    assert ask(assignment("a", **{SHARDS_ANNOTATION: text}), member("a")) == ""
    assert ask() == ""
    assert ask({"metadata": {"name": "csr-operator-shards.all"}}) == ""


@pytest.mark.parametrize("renewed", ["nonsense", 7, None, "2026-06-01T00:00:00"])
def test_a_lease_that_says_no_time_is_no_reason_to_fail(renewed: Any) -> None:
    lease = member("a")
    lease["spec"]["renewTime"] = renewed
    assert ask(assignment("a"), lease) == "pod csr-operator-7d9f8-abcde (shard 17 of 64)"
