"""What a server counts about itself, in the format of Prometheus.

Several workers write into files of one folder, from which any of them reads the sum.
"""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Meters:
    """Counters, gauges and histograms of one process."""

    def __init__(self) -> None:
        self._shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self.registry = CollectorRegistry()
        own = {"registry": self.registry, "namespace": "shoploom"}
        self.requests = Counter(
            "requests", "requests by route and status", ["route", "status"], **own
        )
        self.seconds = Histogram(
            "request_seconds", "time to answer", ["route"], buckets=_SECONDS, **own
        )
        self.events = Counter("events", "events by outcome", ["outcome"], **own)
        gauge = {"multiprocess_mode": "livesum"}
        self.waiting = Gauge("events_waiting", "events that wait to be written", **gauge, **own)
        self.lag = Gauge(
            "loop_lag_seconds", "how late the event loop is", multiprocess_mode="livemax", **own
        )
        self.shed = Counter("shed", "requests refused under load", **own)
        self.denied = Counter("denied", "requests without a good key", **own)
        self.store_errors = Counter("store_errors", "writes that the store refused", **own)
        self.reloads = Counter("reloads", "bundles put in place", ["outcome"], **own)

    def by_route(self) -> list[list[Any]]:
        """Route, requests and mean milliseconds of this worker, the busiest first."""
        sums: dict[str, list[float]] = {}
        for metric in self.seconds.collect():
            for sample in metric.samples:
                if sample.name.endswith(("_count", "_sum")):
                    place = int(sample.name.endswith("_sum"))
                    sums.setdefault(sample.labels["route"], [0.0, 0.0])[place] = sample.value
        rows = [[route, n, 1e3 * total / n] for route, (n, total) in sums.items() if n]
        return sorted(rows, key=lambda row: -row[1])

    def text(self) -> bytes:
        """All of it, over all workers."""
        if not self._shared:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)
        return generate_latest(together)
