"""What the metrics show of a request, from what a watch showed of it."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from csr_operator.api.keys import Kind
from csr_operator.control.controller import Controller
from csr_operator.metrics import RequestCollector
from tests.support.manifests import request

WHOSE = 'csr_operator_request_condition{name="www",namespace="web",'


def _shown(controller: Controller, *conditions: dict[str, str]) -> list[str]:
    """The lines about conditions, once a watch has shown a request with these."""
    obj: dict[str, Any] = request("www", "ca")
    obj["metadata"] |= {
        "namespace": "web",
        "uid": "1",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    whole = {"message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
    obj["status"] = {"conditions": [{**whole, **condition} for condition in conditions]}
    controller.reconcilers[Kind.CERTIFICATE_REQUEST].observe(obj)
    registry = CollectorRegistry()
    registry.register(RequestCollector(controller.samples))
    return [line for line in generate_latest(registry).decode().splitlines() if line.startswith(WHOSE)]


@pytest.mark.parametrize(("status", "value"), [("True", "1.0"), ("False", "0.0")])
async def test_a_renewal_that_waits_is_shown_and_whether_somebody_has_to_act(
    controller: Controller, status: str, value: str
) -> None:
    """`False` is the more serious of the two: nothing goes on until somebody changes something."""
    waiting = {"type": "Renewing", "status": status, "reason": "PolicyDenied"}
    lines = _shown(controller, {"type": "Ready", "status": "True", "reason": "Issued"}, waiting)
    assert lines == [f'{WHOSE}reason="PolicyDenied",type="Renewing"}} {value}']


async def test_any_other_condition_is_shown_only_if_it_is_true(controller: Controller) -> None:
    lines = _shown(
        controller,
        {"type": "Stalled", "status": "False", "reason": "Rejected"},
        {"type": "Reconciling", "status": "True", "reason": "Pending"},
        {"type": "Approved", "status": "True", "reason": "Checked"},
    )
    assert lines == [f'{WHOSE}reason="Pending",type="Reconciling"}} 1.0']
