"""Collects this process's metrics: its pools, its model, its role in the index, and activity that is not stored yet."""

from collections.abc import Mapping
from dataclasses import asdict, fields

from server.index.upkeep.leases import SHARDS
from server.metrics import Metrics
from server.shell.amounts import Amounts
from server.shell.health import Check, Status
from server.shell.runtime import Runtime
from server.shell.shares import Shares

REFRESH_SECONDS = 2.0
"""How many seconds old the reported state of another worker may be."""

VALUES = {Status.HEALTHY: 1.0, Status.DEGRADED: 0.5, Status.UNHEALTHY: 0.0}


def render(runtime: Runtime, checks: Mapping[str, Check], amounts: Amounts | None) -> bytes:
    """Return the metrics. Call it on the event loop. Without `amounts`, the metrics of the database are left out."""
    refresh(runtime)
    parts = {name: VALUES[check.status] for name, check in checks.items()}
    return runtime.metrics.render(parts, asdict(amounts) if amounts else {})


def refresh(runtime: Runtime) -> None:
    """Update the state of this process. Call it on the event loop."""
    metrics = runtime.metrics
    for field in fields(runtime.pools):
        _refresh_pool(metrics, field.name, getattr(runtime.pools, field.name))
    index = runtime.index.state()
    metrics.show("model_available", index.has_model, runtime.settings.embedding_model)
    metrics.show("model_waiting", index.waiting_texts, "texts")
    metrics.show("model_waiting", index.waiting_questions, "questions")
    metrics.show("index_owner", index.shards / SHARDS)
    metrics.show("index_work_done", index.progress.done if index.progress else 0)
    metrics.show("index_work_whole", index.progress.whole if index.progress else 0)
    metrics.show("activity_waiting", runtime.activity.waiting)


def _refresh_pool(metrics: Metrics, name: str, pool: Shares) -> None:
    metrics.show("pool_slots", pool.slots, name)
    metrics.show("pool_slots_used", pool.used, name)
    metrics.show("pool_waiting", pool.waiting, name)
