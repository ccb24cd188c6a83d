"""Checks each part of this process. A part is healthy, degraded (it works, but slowly or not for long) or unhealthy."""

import logging
import math
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import anyio
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExceptionContext

from server.errors import Unavailable
from server.index import MemoryIndex
from server.index.model import languages
from server.index.model.failures import ModelFailed
from server.index.upkeep import leases, survey
from server.mailer import Mailer
from server.settings import Settings
from server.shell.amounts import AmountsReader
from server.shell.shares import Threads
from server.storage import postgres, sqlite
from server.storage.database import Database
from server.storage.database_failures import NO_SPACE, state_of

log = logging.getLogger(__name__)

CHECK_TIMEOUT_SECONDS = 3.0
"""A part that has not answered within this time is unhealthy."""

KEEP_SECONDS = 5.0
"""A result is reused for this long."""

MAIL_KEEP_SECONDS = 60.0
"""A result for the mail server is reused for this long, because mail servers block clients that connect too often."""

OWNERLESS_SECONDS = 60.0
"""How long a part of the index may have no owner. Another process normally takes it over sooner."""

OWNERLESS = "No server keeps a part of the index up to date. Searches stay correct, but become slower."

READ_ONLY = "The database is read-only: stored memories can be read, but nothing can be stored."
HELD = "Another process holds the database: stored memories can be read, but nothing can be stored until it is done."
SLOW = "A write takes long, so that others wait for it: check the disk of the database."
FULL = "The database has no space left on its disk: stored memories can be read, but little can be stored."
FULL_SECONDS = 30.0
"""How long a refused write tells that the database's disk is full, which cannot be asked."""

NOT_WRITABLE = "The data folder cannot be written: check its disk, and who owns it."

LOW_MEMORY_SHARE = 0.05
LOW_DISK_BYTES = 512 * 1024**2
MEMORY_FILE = Path("/proc/meminfo")


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one part's check, with its duration, the part's background work, and what to do about a problem.
    `models` counts the memories by the model of their vectors; `advice` names a setting that would improve results.
    """

    status: Status
    latency_ms: float
    work: str | None = None
    problem: str | None = None
    models: Mapping[str, int] | None = None
    advice: str | None = None


class HealthChecks:
    """One shared check of all parts, kept for `KEEP_SECONDS`, so that frequent requests are cheap.

    Each part has one thread at most. A part that hangs keeps its thread and is unhealthy until it answers.
    """

    def __init__(self, settings: Settings, database: Database, index: MemoryIndex, mailer: Mailer) -> None:
        self._settings = settings
        self._database = database
        self._index = index
        self._counts = survey.NOTHING_COUNTED
        self._ownerless_since: float | None = None
        self._problems: dict[str, str | None] = {}
        self._full_at = -math.inf
        event.listen(database.engine, "handle_error", self._note_error)
        self._mailer = mailer
        self._parts: dict[tuple[str, ...], Callable[[], tuple[Status, ...]]] = {
            ("database",): self._ask_database,
            ("vector_index", "embedding"): lambda: _index(index),
            ("memory",): _memory,
            ("disk",): self._ask_disk,
        }
        if settings.smtp_url.get_secret_value():
            self._parts["smtp",] = self._smtp
        self._threads = {names: Threads(names[0], slots=1, share=1) for names in self._parts}
        self._checking = anyio.Lock()
        self._checks: dict[str, Check] = {}
        self._checked_until = 0.0
        self.amounts = AmountsReader(database)
        self._smtp_status = Status.HEALTHY
        self._smtp_until = 0.0

    async def current(self) -> dict[str, Check]:
        """Return the check of each part, at most `KEEP_SECONDS` old."""
        async with self._checking:
            if time.monotonic() >= self._checked_until:
                self._checks = await self._check_all()
                self._checked_until = time.monotonic() + KEEP_SECONDS
        return self._checks

    async def _check_all(self) -> dict[str, Check]:
        checks: dict[str, Check] = {}

        async def check(names: tuple[str, ...], ask: Callable[[], tuple[Status, ...]]) -> None:
            began = time.perf_counter()
            statuses = await self._ask(names, ask)
            latency_ms = round((time.perf_counter() - began) * 1000, 1)
            checks.update({name: Check(status, latency_ms) for name, status in zip(names, statuses, strict=True)})

        async with anyio.create_task_group() as group:
            for names, ask in self._parts.items():
                group.start_soon(check, names, ask)
        checks["vector_index"] = replace(checks["vector_index"], work=self._index.work or self._counts.work)
        if self._ownerless_since and time.monotonic() > self._ownerless_since + OWNERLESS_SECONDS:
            checks["vector_index"] = replace(checks["vector_index"], status=Status.DEGRADED, problem=OWNERLESS)
        for name, problem in self._problems.items():
            checks[name] = replace(checks[name], problem=problem)
        is_missing = checks["embedding"].status is Status.DEGRADED
        checks["embedding"] = replace(
            checks["embedding"],
            problem=self._index.missing if is_missing else None,
            models=self._counts.models or None,
            advice=advice_for(self._settings, self._counts.misread_projects),
        )
        return {name: checks[name] for names in self._parts for name in names}

    async def _ask(self, names: tuple[str, ...], ask: Callable[[], tuple[Status, ...]]) -> tuple[Status, ...]:
        """Run the check in a thread, unless the last check of this part is still running."""
        thread = self._threads[names]
        if not thread.used:
            try:
                with anyio.move_on_after(CHECK_TIMEOUT_SECONDS):
                    return await thread.run("", ask)
            except (OSError, RuntimeError, Unavailable) as error:  # the folder is gone, no thread can start …
                reason = str(error.__cause__ or error)
                log.warning("a health check failed", extra={"parts": ",".join(names), "reason": reason})
        return (Status.UNHEALTHY,) * len(names)

    def _ask_database(self) -> tuple[Status]:
        """Read what the index's worker counted, and whether every part of the index has an owner."""
        self._problems["database"] = None
        try:
            with self._database.read() as session:
                self._counts = survey.read(session)
                is_owned = self._database.is_sqlite or all(leases.owners(session))
                self._ownerless_since = None if is_owned else self._ownerless_since or time.monotonic()
            is_full = time.monotonic() < self._full_at + FULL_SECONDS
            problem = self._problems["database"] = FULL if is_full else _why_only_read(self._database)
        except (sa.exc.SQLAlchemyError, sqlite3.Error):
            return (Status.UNHEALTHY,)
        return (Status.DEGRADED if problem else Status.HEALTHY,)

    def _note_error(self, context: ExceptionContext) -> None:
        if state_of(context.original_exception) == NO_SPACE:
            self._full_at = time.monotonic()

    def _ask_disk(self) -> tuple[Status]:
        """Check the free space, and that the data folder can be written. A disk that hangs keeps this thread."""
        folder = self._settings.data_dir
        try:
            os.utime(folder)
        except OSError:
            self._problems["disk"] = NOT_WRITABLE
            return (Status.UNHEALTHY,)
        self._problems["disk"] = None
        return (Status.DEGRADED if free_bytes(folder) < LOW_DISK_BYTES else Status.HEALTHY,)

    def _smtp(self) -> tuple[Status]:
        """Connect to the mail server without signing in, at most once per `MAIL_KEEP_SECONDS`."""
        if time.monotonic() >= self._smtp_until:
            self._smtp_status = Status.HEALTHY if self._mailer.answers(signs_in=False) else Status.DEGRADED
            self._smtp_until = time.monotonic() + MAIL_KEEP_SECONDS
        return (self._smtp_status,)


def overall_status(checks: dict[str, Check]) -> Status:
    """Return UNHEALTHY if the database or the model is unhealthy. Any other problem makes the service DEGRADED."""
    if any(checks[name].status is Status.UNHEALTHY for name in ("database", "embedding")):
        return Status.UNHEALTHY
    healthy = all(check.status is Status.HEALTHY for check in checks.values())
    return Status.HEALTHY if healthy else Status.DEGRADED


def advice_for(settings: Settings, misread_projects: int) -> str | None:
    """Return the setting to change if the model does not suit the languages of these projects."""
    what = languages.advice(settings)
    if not misread_projects or what is None:
        return None
    projects = "1 project has" if misread_projects == 1 else f"{misread_projects:,} projects have"
    return f"{projects} many memories in languages that the embedding model does not support well. {what}"


def _why_only_read(database: Database) -> str | None:
    """Return why the database, which answers, takes no writes, or None if it does."""
    if not database.is_sqlite:
        return READ_ONLY if postgres.is_read_only(database.engine) else None
    refusal = sqlite.write_refusal(database.engine)
    if refusal is None:
        return None
    if refusal != sqlite3.SQLITE_BUSY:
        return READ_ONLY
    return SLOW if database.is_writing else HELD


def _index(index: MemoryIndex) -> tuple[Status, Status]:
    """Return the status of the index and of the model."""
    try:
        health = index.health()
    except ModelFailed:
        return Status.HEALTHY, Status.UNHEALTHY
    embedding = Status.UNHEALTHY if not health.embedding_ok else Status.DEGRADED if index.missing else Status.HEALTHY
    return Status.DEGRADED if health.degraded else Status.HEALTHY, embedding


def _memory() -> tuple[Status]:
    """Check the memory that the kernel can still provide. HEALTHY if it does not say, as outside Linux."""
    lines = MEMORY_FILE.read_text("ascii").splitlines() if MEMORY_FILE.exists() else ()
    sizes = {name: int(size) for name, size, *_ in map(str.split, lines)}
    is_low = "MemAvailable:" in sizes and sizes["MemAvailable:"] < LOW_MEMORY_SHARE * sizes["MemTotal:"]
    return (Status.DEGRADED if is_low else Status.HEALTHY,)


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
