"""Counts and times for Prometheus; no text and no id is ever among them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "hyperadapters_requests",
            "Requests by path and status.",
            ["method", "path", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "hyperadapters_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.joined = Histogram(
            "hyperadapters_batch_requests",
            "Requests that were answered in one pass.",
            buckets=SIZES[:9],
            registry=self.registry,
        )
        self.rows = Histogram(
            "hyperadapters_batch_rows",
            "Rows (text and annotator) that were answered in one pass.",
            buckets=SIZES,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "hyperadapters_waiting", "Requests that wait for the model.", registry=self.registry
        )
        self.people = Gauge(
            "hyperadapters_annotators", "People the run knows.", registry=self.registry
        )

    def of_batch(self, n_requests: int, n_rows: int) -> None:
        """Count a pass through the model."""
        self.joined.observe(n_requests)
        self.rows.observe(n_rows)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
