"""What is counted, for Prometheus. Label values are bounded: an attacker makes no new series."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

NAMESPACES = 200
"""Namespaces with series of their own; the others share ``(other)``."""

_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one dispatcher process. ``shared`` ones are told of all processes together:
    then each writes its own into files, and whoever is asked adds them up."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        self._namespaces: set[str] = set()
        self._series: dict[tuple[str, str], Counter] = {}
        self.requests = Counter(
            "cloister_requests",
            "Requests of tenants' visitors by namespace and outcome.",
            ["namespace", "outcome"],
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "cloister_requests_in_flight",
            "Requests under way.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self.seconds = Histogram(
            "cloister_request_seconds",
            "From a request's head to its response's last byte.",
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def count(self, namespace: str, outcome: str, seconds: float) -> None:
        """A request is over. ``namespace`` must be one that exists, or empty."""
        if namespace and len(self._namespaces) < NAMESPACES:
            self._namespaces.add(namespace)
        known = namespace if namespace in self._namespaces else "(other)"
        self._requests(known if namespace else "", outcome).inc()
        self.seconds.observe(seconds)

    def _requests(self, namespace: str, outcome: str) -> Counter:
        series = self._series.get((namespace, outcome))
        if series is None:
            series = self._series[namespace, outcome] = self.requests.labels(namespace, outcome)
        return series

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
