"""The Prometheus metrics: requests by route, operations by name, and the state of the processes and the database."""

import os
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROCESS_FILE = Path("/proc/self/statm")

STATE: dict[str, tuple[Literal["livesum", "livemax", "livemin"], tuple[str, ...], str]] = {
    "pool_slots": ("livesum", ("pool",), "Slots of each pool: how many requests it serves at the same time."),
    "pool_slots_used": ("livesum", ("pool",), "Slots of each pool that are in use."),
    "pool_waiting": ("livesum", ("pool",), "Requests that wait for a slot of each pool."),
    "model_available": ("livemin", ("model",), "1 if the embedding model can be used."),
    "model_waiting": ("livesum", ("kind",), "Texts and questions that wait for the embedding model."),
    "index_owner": ("livesum", (), "The share of the projects whose index this server keeps up to date, from 0 to 1."),
    "index_work_done": ("livesum", (), "Finished steps of the index's background work."),
    "index_work_whole": ("livesum", (), "All steps of the index's background work; 0 if there is none."),
    "activity_waiting": ("livesum", (), "Events of the activity log that wait to be stored."),
}
"""Gauges of a process: how to combine the values of several workers, the labels, and the description."""

STORED = {
    "memories": ("selfmemory_memories", "Memories stored."),
    "pending": ("selfmemory_index_pending", "Changes that are not applied to the vector index yet."),
    "pending_seconds": ("selfmemory_index_pending_seconds", "How long the oldest of these changes has waited."),
    "mails": ("selfmemory_mails_waiting", "Emails that wait to be sent."),
    "deleted_projects": ("selfmemory_deleted_projects", "Deleted projects that still have to be removed from disk."),
}


class Metrics:
    """Counts in this process. With `shared`, a folder that all workers use, reports the sum of all workers."""

    def __init__(self, shared: str | None = None) -> None:
        self._shared = Path(shared) if shared else None
        self._keep_folder()
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
            "selfmemory_operations", "Operations started, through any door.", ["operation"], registry=self._registry
        )

        self._dropped = Counter(
            "selfmemory_activity_dropped", "Events of the activity log that were dropped.", registry=self._registry
        )
        self._state = {
            name: Gauge(f"selfmemory_{name}", text, labels, registry=self._registry, multiprocess_mode=mode)
            for name, (mode, labels, text) in STATE.items()
        }

    @property
    def is_shared(self) -> bool:
        """Whether other workers report the counts of this one."""
        return self._shared is not None

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is the pattern, not the path, which may hold a token."""
        count, duration = self._of_request(method if method in METHODS else "other", route, status)
        count.inc()
        duration.observe(seconds)

    def _of_request(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return the counters for these labels. They are cached, because finding them takes longer than counting."""
        key = method, route, status
        if key not in self._found:
            self._found[key] = self._requests.labels(*key), self._seconds.labels(route)
        return self._found[key]

    def count_operation(self, operation: str) -> None:
        self._operations.labels(operation).inc()

    def count_dropped_activity(self) -> None:
        self._dropped.inc()

    def show(self, name: str, value: float, *labels: str) -> None:
        """Set a value of `STATE`."""
        gauge = self._state[name]
        (gauge.labels(*labels) if labels else gauge).set(value)

    def render(self, parts: Mapping[str, float], stored: Mapping[str, float]) -> bytes:
        """Return the metrics in the Prometheus text format.

        `parts` are the parts of the health check; a healthy part has the value 1.
        """
        counted = self._registry
        if self._shared:
            self._keep_folder()
            _forget_ended(self._shared)
            counted = CollectorRegistry()
            MultiProcessCollector(counted, path=str(self._shared))  # type: ignore[no-untyped-call]  # the class has no types
        return generate_latest(counted) + generate_latest(_gauges(parts, stored))

    def _keep_folder(self) -> None:
        """Create the folder again if a cleaner of temporary files deleted it: no worker could start without it."""
        if self._shared:
            self._shared.mkdir(mode=0o700, exist_ok=True)


def _forget_ended(folder: Path) -> None:
    """Delete the gauges of workers that have ended. Their counters stay."""
    for file in folder.glob("gauge_live*_*.db"):
        try:
            os.kill(int(file.stem.rpartition("_")[2]), 0)
        except (ProcessLookupError, PermissionError):  # the latter if another user's process has the number now
            file.unlink(missing_ok=True)


class _Gauges(Collector):
    """Gauges of the process that answers this request. The library's `Gauge` would be shared with the other workers,
    and would outlive the process.
    """

    def __init__(self, parts: Mapping[str, float], stored: Mapping[str, float]) -> None:
        self._parts, self._stored = parts, stored

    def collect(self) -> Iterator[GaugeMetricFamily]:
        healthy = "Health of each part: 1 healthy, 0.5 degraded, 0 unhealthy."
        health = GaugeMetricFamily("selfmemory_healthy", healthy, labels=["part"])
        for part, value in self._parts.items():
            health.add_metric([part], value)
        yield health
        for name, value in self._stored.items():
            yield GaugeMetricFamily(*STORED[name], value)
        resident = "Memory of the process that answered this request."
        yield GaugeMetricFamily("process_resident_memory_bytes", resident, _resident_bytes())


def _gauges(parts: Mapping[str, float], stored: Mapping[str, float]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_Gauges(parts, stored))
    return registry


def _resident_bytes() -> int:
    """Return the process's memory in bytes: the current amount on Linux, the peak elsewhere."""
    if PROCESS_FILE.exists():
        return int(PROCESS_FILE.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
