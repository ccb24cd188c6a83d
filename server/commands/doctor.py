"""`doctor`: checks that every part of an installation works, and says what to do if one does not."""

import asyncio
import os
import time
from argparse import Namespace
from contextlib import closing

import httpx
import sqlalchemy as sa
from cryptography.fernet import InvalidToken
from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from sqlmodel import Session, col

from server.adapters.limits import in_redis
from server.adapters.mail import open_mailer
from server.adapters.oidc import CALLBACK, ProviderAway, open_provider
from server.commands import model_checks, start_warnings
from server.commands.checks import Advice, Check, CheckFailed, explain, require_server_behind, run_checks
from server.commands.chroma_check import check_chroma
from server.commands.existing import existing
from server.commands.sqlite_copy import require_database
from server.commands.upkeep import open_model
from server.index.upkeep.owner_lock import ownership
from server.machine.own_command import command_line
from server.models import IndexTask, Mail, Memory, Piece, Project, SecondFactor
from server.models.projects import deleted_projects
from server.models.stored_size import TOTAL_SIZE
from server.network.urls import is_loopback
from server.plurals import count
from server.sealing import Purpose, key_id, seal_for
from server.settings import SECRET_KEY_FILE, Settings, SettingsError
from server.shell.health import LOW_DISK_BYTES, free_bytes
from server.storage import data_folder
from server.storage.database import Database
from server.storage.postgres import is_pooled
from server.storage.statements import count_rows

PUBLIC_URL_SECONDS = 5
"""The public URL must answer within this time."""

OFTEN_ENOUGH = 1_000
"""A rate so high that the doctor never reaches it."""

IN_DATABASE = ("secret key", "index", "Chroma", "vectors", "languages", "mail")
"""These checks open the database, which would create it."""


def doctor(settings: Settings, _args: Namespace) -> int:
    """Print one line per check. Return 1 if any check failed. Without a database, leave out what needs one."""
    checks: dict[str, Check] = {
        "settings": _settings,
        "data folder": _data_folder,
        "database": _database,
        "secret key": _secret_key,
        "index": _index,
        "Chroma": check_chroma,
        "Redis": _redis,
        "model": _model,
        "vectors": model_checks.vectors,
        "languages": model_checks.language,
        "mail": _mail,
        "provider": _provider,
        "public URL": _public_url,
    }
    try:
        require_database(settings)
    except SettingsError:
        checks = {name: check for name, check in checks.items() if name not in IN_DATABASE}
    return run_checks(checks, settings)


def _settings(settings: Settings) -> str:
    storage = "SQLite" if settings.is_sqlite else "Postgres"
    chroma = "a Chroma server" if settings.chroma_url else "embedded Chroma"
    used = f"{storage}, {chroma}, data in {settings.data_dir.absolute()}"
    warnings = [*start_warnings.warnings_for(settings)]
    return Advice("; ".join([used, *warnings])) if warnings else used


def _data_folder(settings: Settings) -> str:
    folder = settings.data_dir.absolute()
    if not folder.exists():
        return f"{folder} does not exist yet: the first start creates it"
    data_folder.require_writable(folder)
    kind = data_folder.network_file_system(folder)
    if kind and settings.is_sqlite:
        raise CheckFailed(
            f"{folder} is on a network file system ({kind}), where SQLite can lose data: use a local disk, or Postgres"
        )
    if (free := free_bytes(folder)) < LOW_DISK_BYTES:
        raise CheckFailed(
            f"the disk of {folder} has only {free / 1e6:,.0f} MB left: free some space, or use a larger disk"
        )
    return f"{folder} belongs to user {folder.stat().st_uid}; this is user {os.geteuid()}"


def _database(settings: Settings) -> str:
    with existing(settings) as database, database.read() as session:
        began = time.perf_counter()
        session.execute(sa.text("SELECT 1"))
        spent = (time.perf_counter() - began) * 1000
        schema = session.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
        more = _about_sqlite(session) if database.is_sqlite else _about_postgres(session, settings)
    return f"schema {schema}, answers in {spent:.1f} ms{more}"


def _about_sqlite(session: Session) -> str:
    if (problem := session.execute(sa.text("PRAGMA quick_check(1)")).scalar_one()) != "ok":
        raise CheckFailed(f"the file is damaged ({problem}): run {command_line('restore', 'BACKUP')}")
    return ""


def _about_postgres(session: Session, settings: Settings) -> str:
    """Compare the pool's size with what the server allows. Behind a pooler, the limits differ."""
    if is_pooled(session.connection()):
        return ", behind a pooler"
    names = ("max_connections", "superuser_reserved_connections")
    most, reserved = (int(session.scalar(sa.select(sa.func.current_setting(name))) or 0) for name in names)
    if settings.database_pool > most - reserved:
        raise CheckFailed(
            f"it allows {most - reserved} connections, and one process may use {settings.database_pool}: "
            "lower SELFMEMORY_DATABASE_POOL, or raise max_connections on the database server"
        )
    return f", {most - reserved} connections for all processes of {settings.database_pool} each"


def _secret_key(settings: Settings) -> str:
    """Decrypt a stored value to test the key. Do not create a key if there is none."""
    file = settings.data_dir.absolute() / SECRET_KEY_FILE
    is_set = bool(settings.secret_key.get_secret_value())
    back = "set SELFMEMORY_SECRET_KEY to the earlier one" if is_set else f"put the earlier {file} back"
    with existing(settings) as database, database.read() as session:
        sealed = session.scalar(sa.select(col(SecondFactor.sealed_secret)).limit(1))
        names = set(session.scalars(sa.select(col(Mail.key_id)).where(col(Mail.key_id).is_not(None)).distinct()))
    if not is_set and not file.exists():
        if sealed or names:
            raise CheckFailed(f"it is missing, but authenticator apps or queued emails need it: {back}")
        return "none yet: the first start creates it"
    try:
        if sealed:
            seal_for(settings, Purpose.SECOND_FACTOR).decrypt(sealed)
    except InvalidToken:
        raise CheckFailed(f"authenticator apps were set up with a different one: {back}") from None
    if names - {key_id(settings)}:
        raise CheckFailed(
            f"queued emails were encrypted with a different one: {back}, and use the same key for all servers"
        )
    return "SELFMEMORY_SECRET_KEY" if is_set else str(file)


def _index(settings: Settings) -> str:
    """Compare memories, words, vectors and counters in SQL."""
    with existing(settings) as database, database.read() as session:
        deleted = count_rows(session, deleted_projects().subquery())
        kept = col(Memory.project_id).not_in(deleted_projects())
        memories, size = session.execute(sa.select(sa.func.count(), TOTAL_SIZE).select_from(Memory).where(kept)).one()
        pieces = count_rows(session, Piece, col(Piece.project_id).not_in(deleted_projects()))
        pending = count_rows(session, IndexTask)
        columns = (Project.memory_count, Project.piece_count, Project.memory_bytes)
        counted = session.execute(sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in columns))).one()
        words = count_rows(session, sa.table("memory_words"))
        if (memories, pieces, size) != tuple(counted) or words != count_rows(session, Memory):
            raise CheckFailed(f"does not match the memories in SQL: run {command_line('reindex')}")
        owner = ownership(settings, session)
    removing = f"; {count(deleted, 'deleted project')} to be removed from the disk" if deleted else ""
    stored = f"{count(memories, 'memory', 'memories')} in {count(pieces, 'piece')}"
    return f"{stored}; {count(pending, 'change')} pending{removing}; {owner}"


def _redis(settings: Settings) -> str:
    """Count a hit, as a request does."""
    url = settings.redis_url.get_secret_value()
    if not url:
        return "off (set SELFMEMORY_REDIS_URL): each machine counts rate limits alone"
    try:
        in_redis(url).hit(RateLimitItemPerSecond(OFTEN_ENOUGH), "doctor")
    except StorageError as error:
        raise CheckFailed(
            f"cannot store counts ({type(error.storage_error).__name__}): check SELFMEMORY_REDIS_URL, its "
            "password, and that it runs and accepts writes"
        ) from None
    return "counts the rate limits of all machines"


def _model(settings: Settings) -> str:
    embedder = open_model(settings)
    try:
        began = time.perf_counter()
        embedder.embed([f"doctor at {time.time_ns()}"], is_question=True)
        spent = (time.perf_counter() - began) * 1000
        return f"{embedder.name}, {embedder.dimensions} dimensions, {spent:.1f} ms per text"
    finally:
        embedder.close()


def _mail(settings: Settings) -> str:
    if not settings.smtp_url.get_secret_value():
        return "off (set SELFMEMORY_SMTP_URL): links are shown in answers and in the dashboard"
    with closing(Database(settings.database_url.get_secret_value(), connections=1)) as database:
        if not open_mailer(settings, database).answers(signs_in=True):
            raise CheckFailed(
                "the mail server is unreachable, refuses the credentials or needs encryption (smtps://, or ?starttls "
                "at the end): check SELFMEMORY_SMTP_URL"
            )
    return "the mail server answers"


def _provider(settings: Settings) -> str:
    """Read the metadata and keys of the identity provider."""
    provider = open_provider(settings)
    if provider is None:
        return "off (set SELFMEMORY_OIDC_ISSUER): people sign in with passwords and passkeys"
    try:
        asyncio.run(provider.provider_data())
    except ProviderAway:
        raise CheckFailed(
            f"{settings.oidc_issuer} does not answer with its metadata and keys: check SELFMEMORY_OIDC_ISSUER"
        ) from None
    return f"{provider.name} answers; register {settings.public_url}{CALLBACK} there as the redirect URI"


def _public_url(settings: Settings) -> str:
    url = settings.public_url
    try:
        answer = httpx.get(f"{url}/health/live", timeout=PUBLIC_URL_SECONDS)
    except httpx.HTTPError as error:
        explain(settings, error)
        if is_loopback(url) and isinstance(error, httpx.ConnectError):
            return f"{url} (no server is running there)"
        raise CheckFailed(
            f"{url} does not answer ({type(error).__name__}): check its name, the proxy, and that the server is running"
        ) from None
    require_server_behind(url, answer)
    if answer.status_code != httpx.codes.OK or "X-Request-ID" not in answer.headers:
        raise CheckFailed(
            f"something else answers at {url} ({answer.status_code}): let the proxy pass all paths to this server, "
            "or set SELFMEMORY_PUBLIC_URL"
        )
    return f"{url} answers"
