"""The Leases by which replicas agree. May raise ValueError. What was read is written and read again as the same."""

from csr_operator.api.replicas import Assignment, Process, read_assignment, read_group, read_process
from fuzz.checks import outcome
from fuzz.targets.request import read_object

SHAPE = "json"


def fuzz(data: bytes) -> None:
    lease = read_object(data, "Lease")
    assignment = outcome(lambda: read_assignment(lease), ValueError)
    if assignment is not None:
        assert Assignment.read(assignment.epoch, assignment.text) == assignment
    read_group(lease)
    process = read_process(lease)
    assert process is None or Process.read(process.identity) == process
