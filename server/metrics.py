"""The Prometheus metrics: requests by route, operations by name, and the amounts stored and pending."""

import os
import resource
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROCESS_FILE = Path("/proc/self/statm")


class Metrics:
    """Counts in this process. With `shared`, a folder that all workers use, reports the sum of all workers."""

    def __init__(self, shared: str | None = None) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "selfmemory_requests", "Answered requests.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "selfmemory_request_seconds",
            "How long an answer took.",
            ["route"],
            registry=self._registry,
        )
        self._found: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._operations = Counter(
            "selfmemory_operations", "Operations begun, through any door.", ["operation"], registry=self._registry
        )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is the pattern, not the path, which may hold a token."""
        count, duration = self._of_request(method if method in METHODS else "other", route, status)
        count.inc()
        duration.observe(seconds)

    def _of_request(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the counters of these labels, which take longer to find than to count."""
        key = method, route, status
        if key not in self._found:
            self._found[key] = self._requests.labels(*key), self._seconds.labels(route)
        return self._found[key]

    def count_operation(self, operation: str) -> None:
        self._operations.labels(operation).inc()

    def render(self, *, memories: int, pending: int) -> bytes:
        """Return the counters and the current amounts in the Prometheus text format."""
        counted = self._registry
        if self._shared:
            counted = CollectorRegistry()
            MultiProcessCollector(counted, path=self._shared)  # type: ignore[no-untyped-call]  # the class has no types
        return generate_latest(counted) + generate_latest(_gauges(memories, pending))


def _gauges(memories: int, pending: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("selfmemory_memories", "Memories stored.", registry=registry).set(memories)
    Gauge("selfmemory_index_pending", "Changes the vector index has yet to follow.", registry=registry).set(pending)
    Gauge("process_resident_memory_bytes", "Memory of the process that answered.", registry=registry).set(
        _resident_bytes()
    )
    return registry


def _resident_bytes() -> int:
    """Return the process's memory in bytes: the current amount on Linux, the peak elsewhere."""
    if PROCESS_FILE.exists():
        return int(PROCESS_FILE.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
