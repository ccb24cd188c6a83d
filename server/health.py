"""Checks each part of this process: healthy, degraded (works, but slowly or not for long) or unhealthy."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlmodel import Session, col

from server.database import Database
from server.index import MemoryIndex
from server.index.model.embeddings import ModelFailed
from server.mailer import Mailer
from server.models import IndexTask, Project
from server.runtime import Runtime

CHECK_TIMEOUT_SECONDS = 3.0
"""A part that has not answered within this time is unhealthy."""

LOW_MEMORY_SHARE = 0.05
LOW_DISK_BYTES = 512 * 1024**2
MEMORY_FILE = Path("/proc/meminfo")


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one part's check, with its duration and the part's background work."""

    status: Status
    latency_ms: float
    work: str | None = None


async def check_all(runtime: Runtime) -> dict[str, Check]:
    """Check all parts at once. Uses threads of its own, so that a busy server is not reported as unhealthy."""
    parts: dict[tuple[str, ...], Callable[[], tuple[Status, ...]]] = {
        ("database",): lambda: _database(runtime.database),
        ("vector_index", "embedding"): lambda: _index(runtime.index),
        ("memory",): _memory,
        ("disk",): lambda: _disk(runtime.settings.data_dir),
    }
    if runtime.settings.smtp_url.get_secret_value():
        parts["smtp",] = lambda: _smtp(runtime.mailer)
    threads = anyio.CapacityLimiter(len(parts))
    checks: dict[str, Check] = {}

    async def check(names: tuple[str, ...], ask: Callable[[], tuple[Status, ...]]) -> None:
        began = time.perf_counter()
        statuses: tuple[Status, ...] = (Status.UNHEALTHY,) * len(names)
        with anyio.move_on_after(CHECK_TIMEOUT_SECONDS):
            statuses = await anyio.to_thread.run_sync(ask, limiter=threads, abandon_on_cancel=True)
        latency_ms = round((time.perf_counter() - began) * 1000, 1)
        checks.update({name: Check(status, latency_ms) for name, status in zip(names, statuses, strict=True)})

    async with anyio.create_task_group() as group:
        for names, ask in parts.items():
            group.start_soon(check, names, ask)
    checks["vector_index"] = replace(checks["vector_index"], work=runtime.index.work)
    return {name: checks[name] for names in parts for name in names}


def overall_status(checks: dict[str, Check]) -> Status:
    """Return UNHEALTHY if the database or the model is; any other problem only degrades the service."""
    if any(checks[name].status is Status.UNHEALTHY for name in ("database", "embedding")):
        return Status.UNHEALTHY
    healthy = all(check.status is Status.HEALTHY for check in checks.values())
    return Status.HEALTHY if healthy else Status.DEGRADED


def count_memories_and_pending(session: Session) -> tuple[int, int]:
    """Return the number of stored memories, and of changes that the index has not applied yet."""
    memories = session.execute(sa.select(sa.func.coalesce(sa.func.sum(col(Project.memory_count)), 0))).scalar_one()
    return memories, session.execute(sa.select(sa.func.count()).select_from(IndexTask)).scalar_one()


def _database(database: Database) -> tuple[Status]:
    try:
        with database.read() as session:
            session.execute(sa.text("SELECT 1"))
    except sa.exc.SQLAlchemyError:
        return (Status.UNHEALTHY,)
    return (Status.HEALTHY,)


def _index(index: MemoryIndex) -> tuple[Status, Status]:
    """Return the status of the index and of the model."""
    try:
        health = index.health()
    except ModelFailed:
        return Status.HEALTHY, Status.UNHEALTHY
    embedding = Status.HEALTHY if health.embedding_ok else Status.UNHEALTHY
    return Status.DEGRADED if health.degraded else Status.HEALTHY, embedding


def _memory() -> tuple[Status]:
    """Check the memory that the kernel can still provide. Only Linux reports it; elsewhere the answer is HEALTHY."""
    if not MEMORY_FILE.exists():
        return (Status.HEALTHY,)
    lines = (line.split() for line in MEMORY_FILE.read_text("ascii").splitlines())
    sizes = {words[0]: int(words[1]) for words in lines}
    is_low = sizes["MemAvailable:"] < LOW_MEMORY_SHARE * sizes["MemTotal:"]
    return (Status.DEGRADED if is_low else Status.HEALTHY,)


def _disk(folder: Path) -> tuple[Status]:
    return (Status.DEGRADED if shutil.disk_usage(folder).free < LOW_DISK_BYTES else Status.HEALTHY,)


def _smtp(mailer: Mailer) -> tuple[Status]:
    return (Status.HEALTHY if mailer.check() else Status.DEGRADED,)
