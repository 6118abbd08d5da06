"""What is counted, for Prometheus. Label values are bounded: an attacker makes no new series."""

from bisect import bisect_left
from collections import Counter as Counts

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

NAMESPACES = 200
"""Namespaces with series of their own; the others share ``(other)``."""

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class _Seconds(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, seconds: list[float]) -> None:
        """Observe all these."""
        within = Counts(bisect_left(_BUCKETS, each) for each in seconds)
        for bucket, count in within.items():
            self._buckets[bucket].inc(count)
        self._sum.inc(sum(seconds))


class Metrics:
    """The metrics of one dispatcher process. ``shared`` ones are told of all processes together:
    then each writes its own into files, and whoever is asked adds them up.

    What is counted waits in plain values until :meth:`flush`, which costs as much as a request.
    """

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        self._namespaces: set[str] = set()
        self._counted: Counts[tuple[str, str]] = Counts()
        self._took: list[float] = []
        self.under_way = 0
        """Requests that have begun and not ended."""
        self._requests = Counter(
            "cloister_requests",
            "Requests of tenants' visitors by namespace and outcome.",
            ["namespace", "outcome"],
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "cloister_requests_in_flight",
            "Requests under way.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._seconds = _Seconds(
            "cloister_request_seconds",
            "From a request's head to its response's last byte.",
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def knows(self, namespace: str) -> bool:
        """Whether it has a series of its own."""
        return namespace in self._namespaces

    def count(self, namespace: str, outcome: str, seconds: float) -> None:
        """A request is over. ``namespace`` must be one that exists, or empty."""
        if namespace and len(self._namespaces) < NAMESPACES:
            self._namespaces.add(namespace)
        known = namespace if namespace in self._namespaces else "(other)"
        self._counted[known if namespace else "", outcome] += 1
        self._took.append(seconds)

    def flush(self) -> None:
        """Let Prometheus know. In the thread that counts, every second and before :meth:`text`."""
        counted, self._counted = self._counted, Counts()
        for labels, count in counted.items():
            self._requests.labels(*labels).inc(count)
        took, self._took = self._took, []
        if took:
            self._seconds.add(took)
        self._in_flight.set(self.under_way)

    def text(self) -> bytes:
        """Prometheus' text format."""
        if not self._shared:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # it has no types
        return generate_latest(together)


def forget_process(pid: int) -> None:
    """A process that shared its metrics has ended; what it counted still counts."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]  # it has no types
