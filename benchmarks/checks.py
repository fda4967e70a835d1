"""What it costs to authenticate state, and to apply a policy to the CSR that is sent."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

from cryptography import x509

from csr_operator.api.keys import Kind, ObjectKey, Raw, SecretKey
from csr_operator.api.names import SEAL_ANNOTATION
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.policy import AllowedNames, Policy, Rule
from csr_operator.api.seal import Seal, record_parts
from csr_operator.decisions.obstacles import find_denial
from csr_operator.decisions.pace import Pace
from csr_operator.decisions.policy import key_violations, violations
from csr_operator.decisions.policy_facts import facts_of_csr
from csr_operator.decisions.world import IssuerState
from csr_operator.pki.keys import parameters_of

_TIMES = 2000


def seconds_per_certificate(request: Raw, secret: Raw, *, policy: bool) -> float:
    """CPU time of all codes and checks that one certificate takes. Both objects as the API server has them, Ready."""
    seal = Seal([os.urandom(32)])
    parsed, csr = parse_request(request), x509.load_pem_x509_csr(request["status"]["csr"].encode())
    metadata = secret["metadata"]
    where, annotations = SecretKey(metadata["namespace"], metadata["name"]), dict(metadata["annotations"])
    annotations[SEAL_ANNOTATION] = seal.code("record", *record_parts(where, annotations))
    sealed = {**secret, "metadata": {**metadata, "annotations": annotations}}
    record = parse_secret_meta(sealed, seal).record
    assert record is not None
    pace = Pace.of(record)
    written = replace(parsed, status=replace(parsed.status, pace=pace.written(parsed, seal)))
    issuer, rules = ObjectKey(Kind.ISSUER, where.namespace, "ca"), None
    if policy:
        names = AllowedNames(frozenset(), ("example.com",), wildcards=False)
        rules = Policy(rules=(Rule(dns_names=names, maximum_duration=timedelta(days=90)),))
    state = IssuerState(ready=True, message="", version="", policy=rules)

    fresh = count()

    def check() -> None:
        if rules is not None:
            # With a label of its own each time, as the last answers of policies are kept.
            labels = {"time": str(next(fresh))}
            denials = violations(rules, facts_of_csr(csr, parsed), parsed.namespace, labels)
        else:
            denials = key_violations(parameters_of(csr.public_key()))
        assert find_denial(parsed, issuer, state, denials) is None

    return (
        _seconds(lambda: seal.code("record", *record_parts(where, annotations)))
        # The answer to the write, and the watch.
        + 2 * (_seconds(lambda: parse_secret_meta(sealed, seal)) - _seconds(lambda: parse_secret_meta(sealed, None)))
        + _seconds(lambda: pace.written(parsed, seal))
        + 2 * _seconds(lambda: Pace.read(written.status.pace, written.namespace, written.name, written.uid, seal))
        + _seconds(check)
    )


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    for _ in range(_TIMES):
        work()
    return (time.process_time() - begun) / _TIMES
