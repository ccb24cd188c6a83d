"""`doctor`, `reindex` and `prepare-model`: what whoever runs the server does with it."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import NoReturn

import httpx
import sqlalchemy as sa
from sqlmodel import Session
from tqdm import tqdm

from server.app import default_embedder
from server.commands.output import print_message, print_result
from server.database import Database, migrated
from server.index import MemoryIndex
from server.index.model.embeddings import DEFAULT_MODEL, ModelUnusable, prepare
from server.index.upkeep.rebuild import Progress
from server.mail import open_mailer
from server.models import Project
from server.settings import Settings, SettingsError, is_loopback

CONNECTIONS = 4
PATIENCE = 5
"""Seconds that the public URL has to answer."""


class Wrong(Exception):
    """What a check found; the sentence is for whoever runs the server."""


def prepare_model(settings: Settings, _given: Namespace) -> None:
    """Export the default model, or load the configured one once. Raises SettingsError."""
    try:
        if settings.embedding_model == DEFAULT_MODEL:
            prepare(settings.data_dir)
        else:
            default_embedder(settings).close()
    except ModelUnusable as error:
        raise SettingsError(str(error)) from error


def reindex(settings: Settings, _given: Namespace) -> None:
    """Write the index anew from SQL; beside a running server, the server does what only an owner may."""
    with migrated(settings.database_url.get_secret_value(), connections=CONNECTIONS) as database:
        index = MemoryIndex(settings, database, default_embedder(settings))
        index.start()
        try:
            with tqdm(file=sys.stderr, total=1, unit="") as bar:
                index.reindex(lambda progress: _show(bar, progress))
                _show(bar, Progress("finished", 1, 1))
        finally:
            index.close()
    print_message("The index is rebuilt.")


def _show(bar: "tqdm[NoReturn]", progress: Progress) -> None:
    bar.set_description(progress.work, refresh=False)
    bar.total, bar.n = max(progress.whole, 1), progress.done
    bar.refresh()


def doctor(settings: Settings, _given: Namespace) -> int:
    """One line each, on standard output; 1 if anything is wrong."""
    checks: dict[str, Callable[[Settings], str]] = {
        "settings": _settings,
        "database": _database,
        "index": _index,
        "model": _model,
        "mail": _mail,
        "public URL": _public_url,
    }
    healthy = [_reported(name, check, settings) for name, check in checks.items()]
    return 0 if all(healthy) else 1


def _reported(name: str, check: Callable[[Settings], str], settings: Settings) -> bool:
    try:
        verdict, words = "ok", check(settings)
    except (Wrong, SettingsError, ModelUnusable) as wrong:
        verdict, words = "WRONG", str(wrong)
    except sa.exc.SQLAlchemyError as error:
        verdict, words = "WRONG", f"the database says {type(error).__name__}"
    print_result(f"{verdict:<6} {name:<11} {words}")
    return verdict == "ok"


def _settings(settings: Settings) -> str:
    kept = "SQLite" if settings.is_sqlite else "Postgres"
    chroma = "a Chroma server" if settings.chroma_url else "embedded Chroma"
    return f"{kept}, {chroma}, data in {settings.data_dir.absolute()}"


def _database(settings: Settings) -> str:
    with migrated(settings.database_url.get_secret_value()) as database, database.read() as session:
        began = time.perf_counter()
        session.execute(sa.text("SELECT 1"))
        spent = (time.perf_counter() - began) * 1000
        if database.is_sqlite and (found := session.execute(sa.text("PRAGMA quick_check(1)")).scalar_one()) != "ok":
            raise Wrong(f"the file is damaged ({found}): restore it from a backup")
        schema = session.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    return f"schema {schema}, answers in {spent:.1f} ms"


def _index(settings: Settings) -> str:
    """What SQL says of itself: each memory has its words and its vectors, and the counters are right."""
    with migrated(settings.database_url.get_secret_value()) as database, database.read() as session:
        memories, pieces, pending = (_count(session, table) for table in ("memories", "pieces", "index_tasks"))
        counted = session.execute(
            sa.select(*(sa.func.coalesce(sa.func.sum(own), 0) for own in (Project.memory_count, Project.piece_count)))
        ).one()
        if (memories, pieces) != tuple(counted) or _count(session, "memory_words") != memories:
            raise Wrong("it does not match the memories in SQL: run python -m server reindex")
    return f"{memories} memories in {pieces} pieces; {pending} changes to follow"


def _count(session: Session, table: str) -> int:
    count: int = session.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()
    return count


def _model(settings: Settings) -> str:
    embedder = default_embedder(settings)
    try:
        began = time.perf_counter()
        embedder.embed(["Is anybody there?"], urgent=True)
        spent = (time.perf_counter() - began) * 1000
        return f"{embedder.name}, {embedder.dimensions} dimensions, {spent:.1f} ms a text"
    finally:
        embedder.close()


def _mail(settings: Settings) -> str:
    if not settings.smtp_url.get_secret_value():
        return "off (SELFMEMORY_SMTP_URL): links are shown in answers and in the dashboard"
    database = Database(settings.database_url.get_secret_value(), connections=1)
    try:
        if not open_mailer(settings, database).check():
            raise Wrong("the mail server cannot be reached or refuses the sign-in: check SELFMEMORY_SMTP_URL")
    finally:
        database.close()
    return "the mail server answers"


def _public_url(settings: Settings) -> str:
    try:
        answer = httpx.get(f"{settings.public_url}/health/live", timeout=PATIENCE)
    except httpx.HTTPError as error:
        if is_loopback(settings.public_url) and isinstance(error, httpx.ConnectError):
            return f"{settings.public_url} (no server is running there now)"
        raise Wrong(f"{settings.public_url} does not answer ({type(error).__name__})") from None
    if answer.status_code != httpx.codes.OK or "X-Request-ID" not in answer.headers:
        raise Wrong(f"{settings.public_url} is answered by something else: {answer.status_code}")
    return f"{settings.public_url} answers"
