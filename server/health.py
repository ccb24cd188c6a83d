"""How each part of this process is: healthy, degraded (all is answered, but slowly or not for long), unhealthy."""

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
from server.mail import Mailer
from server.models import IndexTask, Project
from server.runtime import Runtime

CHECK_TIMEOUT_SECONDS = 3.0
"""Seconds after which a part that has not answered counts as failing."""
LOW_MEMORY_SHARE = 0.05
LOW_DISK_BYTES = 512 * 1024**2
MEMORY_FILE = Path("/proc/meminfo")


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Check:
    """One part: how it is, how many milliseconds it took to say so, and what it does in the background."""

    status: Status
    latency_ms: float
    work: str | None = None


async def check_all(runtime: Runtime) -> dict[str, Check]:
    """Ask all parts at once. None waits in the queue of ordinary work, so that a busy server is not called ill."""
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
        began, found = time.perf_counter(), (Status.UNHEALTHY,) * len(names)
        with anyio.move_on_after(CHECK_TIMEOUT_SECONDS):
            found = await anyio.to_thread.run_sync(ask, limiter=threads, abandon_on_cancel=True)
        spent = round((time.perf_counter() - began) * 1000, 1)
        checks.update({name: Check(status, spent) for name, status in zip(names, found, strict=True)})

    async with anyio.create_task_group() as group:
        for names, ask in parts.items():
            group.start_soon(check, names, ask)
    checks["vector_index"] = replace(checks["vector_index"], work=runtime.index.work)
    return {name: checks[name] for names in parts for name in names}


def overall_status(checks: dict[str, Check]) -> Status:
    """Without its database or its model the service is unhealthy; anything else only degrades it."""
    if any(checks[name].status is Status.UNHEALTHY for name in ("database", "embedding")):
        return Status.UNHEALTHY
    healthy = all(check.status is Status.HEALTHY for check in checks.values())
    return Status.HEALTHY if healthy else Status.DEGRADED


def count_memories_and_pending(session: Session) -> tuple[int, int]:
    """Memories stored; changes that the index has yet to follow."""
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
    """The index and the model behind it."""
    try:
        found = index.health()
    except ModelFailed:
        return Status.HEALTHY, Status.UNHEALTHY
    embedding = Status.HEALTHY if found.embedding_ok else Status.UNHEALTHY
    return Status.DEGRADED if found.degraded else Status.HEALTHY, embedding


def _memory() -> tuple[Status]:
    """By what the kernel could still hand out; unknown elsewhere than on Linux, and then not complained about."""
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
