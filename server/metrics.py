"""What Prometheus may ask: requests by route, operations by name, and how much there is."""

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
    """Counted in this process; with `shared` (a folder that all workers were given) told for all workers together."""

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
        self._operations = Counter(
            "selfmemory_operations", "Operations begun, through any door.", ["operation"], registry=self._registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`route` is the pattern, never the path: its values are few, and none holds a token."""
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def began(self, operation: str) -> None:
        self._operations.labels(operation).inc()

    def text(self, *, memories: int, pending: int) -> bytes:
        """Prometheus text: what was counted, and what is true at this moment."""
        counted = self._registry
        if self._shared:
            counted = CollectorRegistry()
            MultiProcessCollector(counted, path=self._shared)  # type: ignore[no-untyped-call]  # the library's own lack
        return generate_latest(counted) + generate_latest(_moment(memories, pending))


def _moment(memories: int, pending: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("selfmemory_memories", "Memories stored.", registry=registry).set(memories)
    Gauge("selfmemory_index_pending", "Changes the vector index has yet to follow.", registry=registry).set(pending)
    Gauge("process_resident_memory_bytes", "Memory of the process that answered.", registry=registry).set(_resident())
    return registry


def _resident() -> int:
    """Bytes; the peak where the kernel does not tell the present."""
    if PROCESS_FILE.exists():
        return int(PROCESS_FILE.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
