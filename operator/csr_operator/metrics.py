"""What `/metrics` shows. No label is unbounded but namespace and name."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

BUILD_INFO = Gauge("csr_operator_build_info", "1; the labels say what runs.", ["version", "python"], registry=REGISTRY)

ISSUANCE_SECONDS = Histogram(
    "csr_operator_issuance_duration_seconds",
    "From the decision to issue until the certificate was stored, with all that an order had to wait for.",
    ["backend"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400),
    registry=REGISTRY,
)
FAILURES = Counter(
    "csr_operator_failures_total", "Attempts that did not end in a certificate.", ["reason"], registry=REGISTRY
)
QUEUE_DEPTH = Gauge("csr_operator_queue_depth", "Objects that wait for a worker.", registry=REGISTRY)
QUEUE_LATENCY = Histogram(
    "csr_operator_queue_latency_seconds",
    "How long an object waited for a worker.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120),
    registry=REGISTRY,
)
KUBERNETES_CALLS = Counter(
    "csr_operator_kubernetes_calls_total",
    "Calls of the Kubernetes API that were answered, or failed on the way (code `error`).",
    ["verb", "resource", "code"],
    registry=REGISTRY,
)
CA_CALLS = Counter(
    "csr_operator_ca_calls_total", "Calls of a CA backend.", ["backend", "call", "outcome"], registry=REGISTRY
)
SKIPPED_SAMPLES = Counter(
    "csr_operator_skipped_samples_total",
    "Requests and issuers left out of a rendering of the metrics, as their state could not be made out.",
    registry=REGISTRY,
)
UNREADABLE = Counter(
    "csr_operator_unreadable_objects_total",
    "Objects that a watch or a list showed, and that could not be read: each is left alone, and named in the log.",
    ["kind"],
    registry=REGISTRY,
)
LOOP_LAG = Histogram(
    "csr_operator_loop_lag_seconds",
    "By how much the event loop was late for something that was to be done at a moment: ten such moments in a second, "
    "each of which counts, also while nobody had a turn.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)


SHARDS = Gauge(
    "csr_operator_shards",
    "Of the 64 shards of all requests, those of this replica: `held`, and of them those that are to be another's "
    "once nothing goes on in them: `giving`.",
    ["state"],
    registry=REGISTRY,
)


class RequestSample(NamedTuple):
    """One CertificateRequest as its metrics show it.

    Times are Unix seconds, None where there is nothing of the kind.
    """

    namespace: str
    name: str
    ready: bool
    not_after: float | None
    renewal: float | None
    pending: float | None
    """Since when an order for it is under way."""
    conditions: tuple[tuple[str, str, bool], ...] = ()
    """Type and reason of those that are true, and of Renewing that is false, besides Ready and what others say."""


class IssuerSample(NamedTuple):
    """One issuer as its metrics show it."""

    kind: str
    namespace: str
    """Empty for a ClusterIssuer."""
    name: str
    ready: bool
    expiry: float | None
    """Of the CA certificate that signs, in Unix seconds; None if it is not known."""


class RequestCollector(Collector):
    """Reads the operator's own cache at each rendering, in a thread: no gauge object is kept per object.

    samples, issuers: one for each. They have to leave out, and count, what they cannot make a sample of.
    """

    def __init__(
        self, samples: Callable[[], Iterable[RequestSample]], issuers: Callable[[], Iterable[IssuerSample]] = tuple
    ) -> None:
        self._samples, self._issuers = samples, issuers

    def describe(self) -> Iterable[Metric]:
        return (*self._families(), *self._issuer_families())

    def collect(self) -> Iterator[Metric]:
        ready, expiry, renewal, pending, condition = families = self._families()
        for sample in self._samples():
            labels = (sample.namespace, sample.name)
            ready.add_metric(labels, float(sample.ready))
            if sample.not_after is not None:
                expiry.add_metric(labels, sample.not_after)
            if sample.renewal is not None:
                renewal.add_metric(labels, sample.renewal)
            if sample.pending is not None:
                pending.add_metric(labels, sample.pending)
            for kind, reason, true in sample.conditions:
                condition.add_metric((*labels, kind, reason), float(true))
        yield from families
        issuer_ready, ca_expiry = issuer_families = self._issuer_families()
        for issuer in self._issuers():
            whose = (issuer.kind, issuer.namespace, issuer.name)
            issuer_ready.add_metric(whose, float(issuer.ready))
            if issuer.expiry is not None:
                ca_expiry.add_metric(whose, issuer.expiry)
        yield from issuer_families

    @staticmethod
    def _issuer_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        labels = ["kind", "namespace", "name"]
        return (
            GaugeMetricFamily("csr_operator_issuer_ready", "1 if the issuer is Ready, else 0.", labels=labels),
            GaugeMetricFamily(
                "csr_operator_issuer_ca_expiry_timestamp_seconds",
                "notAfter of the CA certificate that signs, where the issuer knows it (`ca`).",
                labels=labels,
            ),
        )

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, ...]:
        labels = ["namespace", "name"]
        return (
            GaugeMetricFamily("csr_operator_request_ready", "1 if the request is Ready, else 0.", labels=labels),
            GaugeMetricFamily(
                "csr_operator_request_expiry_timestamp_seconds", "notAfter of the certificate.", labels=labels
            ),
            GaugeMetricFamily(
                "csr_operator_request_renewal_timestamp_seconds", "When the next renewal begins.", labels=labels
            ),
            GaugeMetricFamily(
                "csr_operator_request_pending_since_timestamp_seconds",
                "When the order under way was placed.",
                labels=labels,
            ),
            GaugeMetricFamily(
                "csr_operator_request_condition",
                "1 for each condition of the request that is true, besides Ready, Approved and Denied; 0 for Renewing "
                "that is false: it does not go on until somebody changes something.",
                labels=[*labels, "type", "reason"],
            ),
        )
