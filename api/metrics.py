"""Numbers for Prometheus: what this process has answered and how fast, and what the database holds.

Requests are counted where they pass. What the database knows is asked when somebody looks, so that it is right however
many processes there are. With several of them (`tuner serve --processes N`) their counts are kept in files of a
directory that ``PROMETHEUS_MULTIPROC_DIR`` names, and whichever is asked answers for all.
"""

import os
from collections.abc import Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.serving import Service
from tuner.errors import StorageError
from tuner.service.totals import overview

SHARED = "PROMETHEUS_MULTIPROC_DIR"

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds: an ask or a tell takes some milliseconds, a page of a large study some hundred."""

# When a counter began is of no use to anybody here, and doubles the lines.
disable_created_metrics()  # type: ignore[no-untyped-call]

_registry = CollectorRegistry()

requests = Counter(
    "tuner_http_requests", "Requests that were answered.", ["method", "route", "status"], registry=_registry
)
request_seconds = Histogram(
    "tuner_http_request_seconds",
    "Time to an answer, by route: ask, report and tell are routes of their own.",
    ["method", "route"],
    buckets=BUCKETS,
    registry=_registry,
)

# To look up a counter by its labels takes longer than to count.
answered = cache(requests.labels)
duration = cache(request_seconds.labels)


class _Stored(Collector):
    """What the database holds, and what this process has open."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """The numbers of this moment. Where the database is away, that is the number."""
        yield GaugeMetricFamily("tuner_event_streams", "Event streams open.", self._service.streams.open)
        yield GaugeMetricFamily("tuner_writes_waiting", "Writes that wait for a commit.", self._service.commits.waiting)
        pool = GaugeMetricFamily(
            "tuner_database_connections", "Database connections of this process.", labels=["state"]
        )
        for state, count in self._service.database.connections.items():
            pool.add_metric([state], count)
        yield pool
        try:
            found = overview(self._service.database)
        except StorageError:
            yield GaugeMetricFamily("tuner_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("tuner_database_up", "Whether the database answers.", 1)
        for name, help_text, counts in (
            ("tuner_studies", "Studies, by state.", found.studies),
            ("tuner_trials", "Trials, by state; those waiting are the queue.", found.trials),
            ("tuner_workers", "Workers that are alive, by what they do.", found.workers),
        ):
            family = GaugeMetricFamily(name, help_text, labels=["state"])
            for state, count in counts.items():
                family.add_metric([state], count)
            yield family
        yield CounterMetricFamily("tuner_lease_expiries", "Leases that ran out.", found.lost_leases)
        yield CounterMetricFamily(
            "tuner_gradient_evaluations", "Gradient evaluations spent, of the studies that there are.",
            found.gradient_evaluations,
        )  # fmt: skip


def exposition(service: Service) -> bytes:
    """All numbers in Prometheus' text format."""
    stored = CollectorRegistry(auto_describe=False)
    stored.register(_Stored(service))
    counted = _registry
    if SHARED in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return generate_latest(counted) + generate_latest(stored)
