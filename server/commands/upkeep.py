"""`doctor`, `reindex` and `prepare-model`: commands for the operator."""

import asyncio
import os
import sys
import time
from argparse import Namespace
from typing import NoReturn

import httpx
import sqlalchemy as sa
from sqlmodel import Session
from tqdm import tqdm

from server import data_folder
from server.commands import model_checks
from server.commands.checks import Check, CheckFailed, run_checks
from server.commands.output import print_message
from server.database import Database, migrated
from server.index import MemoryIndex
from server.index.model.embeddings import Embedder, ModelUnusable, open_now
from server.index.upkeep.progress import Progress
from server.mail import open_mailer
from server.models import Project
from server.models.stored_size import TOTAL_SIZE
from server.oidc import CALLBACK, ProviderAway, open_provider
from server.settings import Settings, SettingsError
from server.urls import is_loopback

CONNECTIONS = 4
PUBLIC_URL_SECONDS = 5
"""The public URL must answer within this time."""


def prepare_model(settings: Settings, _args: Namespace) -> None:
    """Export the configured model if necessary, and load it. Raises SettingsError."""
    print_message("Preparing the embedding model (about a minute the first time) …")
    embedder = _open_model(settings)
    print_message(f"The embedding model is ready: {embedder.name}, {embedder.dimensions} dimensions.")
    embedder.close()


def _open_model(settings: Settings) -> Embedder:
    """Load the configured model. Raises SettingsError."""
    try:
        return open_now(settings)
    except ModelUnusable as error:
        raise SettingsError(str(error)) from error


def reindex(settings: Settings, _args: Namespace) -> None:
    """Rebuild the index from SQL. Beside a running server, that server builds the collections."""
    with migrated(settings.database_url.get_secret_value(), connections=CONNECTIONS) as database:
        index = MemoryIndex(settings, database, _open_model(settings))
        index.start()
        try:
            with tqdm(file=sys.stderr, total=1, unit="") as bar:
                index.reindex(lambda progress: _show(bar, progress))
                _show(bar, Progress("finished", 1, 1))
        finally:
            index.close()
    print_message("Index rebuilt.")


def _show(bar: "tqdm[NoReturn]", progress: Progress) -> None:
    bar.set_description(progress.work, refresh=False)
    bar.total, bar.n = max(progress.whole, 1), progress.done
    bar.refresh()


def doctor(settings: Settings, _args: Namespace) -> int:
    """Print one line a check. Return 1 if any check failed."""
    checks: dict[str, Check] = {
        "settings": _settings,
        "data folder": _data_folder,
        "database": _database,
        "index": _index,
        "model": _model,
        "vectors": model_checks.vectors,
        "languages": model_checks.language,
        "mail": _mail,
        "provider": _provider,
        "public URL": _public_url,
    }
    return run_checks(checks, settings)


def _settings(settings: Settings) -> str:
    kept = "SQLite" if settings.is_sqlite else "Postgres"
    chroma = "a Chroma server" if settings.chroma_url else "embedded Chroma"
    return f"{kept}, {chroma}, data in {settings.data_dir.absolute()}"


def _data_folder(settings: Settings) -> str:
    folder = settings.data_dir.absolute()
    data_folder.require_writable(folder)
    kind = data_folder.network_file_system(folder)
    if kind and settings.is_sqlite:
        raise CheckFailed(
            f"{folder} is on a network file system ({kind}), where SQLite can lose data: use a local disk, or Postgres"
        )
    return f"{folder} belongs to user {folder.stat().st_uid}; this is user {os.geteuid()}"


def _database(settings: Settings) -> str:
    with migrated(settings.database_url.get_secret_value()) as database, database.read() as session:
        began = time.perf_counter()
        session.execute(sa.text("SELECT 1"))
        spent = (time.perf_counter() - began) * 1000
        if database.is_sqlite and (found := session.execute(sa.text("PRAGMA quick_check(1)")).scalar_one()) != "ok":
            raise CheckFailed(f"the file is damaged ({found}): restore a backup")
        schema = session.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    return f"schema {schema}, answers in {spent:.1f} ms"


def _index(settings: Settings) -> str:
    """Compare memories, words, vectors and counters in SQL."""
    with migrated(settings.database_url.get_secret_value()) as database, database.read() as session:
        memories, pieces, pending = (_count(session, table) for table in ("memories", "pieces", "index_tasks"))
        size = session.execute(sa.select(TOTAL_SIZE)).scalar_one()
        columns = (Project.memory_count, Project.piece_count, Project.memory_bytes)
        counted = session.execute(sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))).one()
        if (memories, pieces, size) != tuple(counted) or _count(session, "memory_words") != memories:
            raise CheckFailed("does not match the memories in SQL: run python -m server reindex")
    return f"{memories} memories in {pieces} pieces; {pending} changes pending"


def _count(session: Session, table: str) -> int:
    count: int = session.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one()
    return count


def _model(settings: Settings) -> str:
    embedder = _open_model(settings)
    try:
        began = time.perf_counter()
        embedder.embed(["Hello"], is_question=True)
        spent = (time.perf_counter() - began) * 1000
        return f"{embedder.name}, {embedder.dimensions} dimensions, {spent:.1f} ms a text"
    finally:
        embedder.close()


def _mail(settings: Settings) -> str:
    if not settings.smtp_url.get_secret_value():
        return "off (set SELFMEMORY_SMTP_URL): links are shown in answers and in the dashboard"
    database = Database(settings.database_url.get_secret_value(), connections=1)
    try:
        if not open_mailer(settings, database).check():
            raise CheckFailed("the mail server is unreachable or refuses the credentials: check SELFMEMORY_SMTP_URL")
    finally:
        database.close()
    return "the mail server answers"


def _provider(settings: Settings) -> str:
    """Read the metadata and keys of the identity provider."""
    provider = open_provider(settings)
    if provider is None:
        return "off (set SELFMEMORY_OIDC_ISSUER): people sign in with passwords and passkeys"
    try:
        asyncio.run(provider.known())
    except ProviderAway:
        raise CheckFailed(
            f"{settings.oidc_issuer} does not answer with its metadata and keys: check SELFMEMORY_OIDC_ISSUER"
        ) from None
    return f"{provider.name} answers; register {settings.public_url}{CALLBACK} there as the redirect URI"


def _public_url(settings: Settings) -> str:
    try:
        answer = httpx.get(f"{settings.public_url}/health/live", timeout=PUBLIC_URL_SECONDS)
    except httpx.HTTPError as error:
        if is_loopback(settings.public_url) and isinstance(error, httpx.ConnectError):
            return f"{settings.public_url} (no server is running there)"
        raise CheckFailed(f"{settings.public_url} does not answer ({type(error).__name__})") from None
    if answer.status_code != httpx.codes.OK or "X-Request-ID" not in answer.headers:
        raise CheckFailed(f"something else answers at {settings.public_url}: {answer.status_code}")
    return f"{settings.public_url} answers"
