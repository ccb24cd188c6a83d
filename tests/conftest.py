"""The app in this process, on a fresh database, with a small embedder."""

import atexit
import functools
import gc
import logging
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy.orm import Mapper
from starlette.types import ASGIApp
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]  # it has no stubs

from server import hashing
from server.app import create_app
from server.domain.people import second_factors
from server.domain.people.second_factors import STEP_SECONDS
from server.hashing import hash_of_no_password
from server.machine.resources import cpu_count
from server.setting_files import PREFIX
from server.settings import Settings, read_settings
from server.shell import housekeeping
from server.storage.database import Database, _engine, migrate
from tests.support.backups import on_database as on_database
from tests.support.commands import command as command
from tests.support.commands import data_dir as data_dir
from tests.support.commands import project_id as project_id
from tests.support.commands import run as run
from tests.support.commands import stored as stored
from tests.support.engines import sharing_statements, statements
from tests.support.fakes import WordEmbedder
from tests.support.needs import NEEDS
from tests.support.postgres import Databases, running_postgres
from tests.support.prepared import CREATORS, fill
from tests.support.redis_server import running_redis
from tests.support.started import running
from tests.support.tenants import Tenant as Tenant
from tests.support.tenants import alice as alice
from tests.support.tenants import bob as bob
from tests.support.tenants import make_tenant as make_tenant

ORIGIN = "http://localhost:8081"
# What depends on the database runs on both; pages, tools and commands ask the same operations and run on SQLite alone.
ON_POSTGRES_TOO = (
    "tests/test_backup.py",
    "tests/domain/",
    "tests/index/",
    "tests/rest/",
    "tests/oauth/test_bounds.py",
    "tests/oauth/test_parallel.py",
)
NOT_RUN: dict[str, int] = {}

for _name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
    del os.environ[_name]  # the settings of whoever runs the tests are none of theirs


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(name): is left out where a thing of `tests.support.needs` is missing")
    config.addinivalue_line(
        "markers", "sqlite_only: asks something of SQLite itself, or of the door before any database"
    )


def pytest_xdist_auto_num_workers() -> int:
    """Return more processes than there are processors, because tests wait for a third of their time."""
    return cpu_count() * 3 // 2


def pytest_collection_finish() -> None:
    """Keep what was imported out of garbage collection, and collect seldom: it would be a twentieth of the time."""
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what depends on the database on SQLite and on Postgres."""
    test = metafunc.definition
    on_both = test.nodeid.startswith(ON_POSTGRES_TOO) and not test.get_closest_marker("sqlite_only")
    if on_both and "database_url" in metafunc.fixturenames:
        on_postgres = pytest.param("postgres", marks=pytest.mark.needs("postgres"))
        metafunc.parametrize("database_url", ["sqlite", on_postgres], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that this machine does not have."""
    missing = {name for name, need in NEEDS.items() if not need.is_met()}
    for item in list(items):
        unmet = missing & {mark.args[0] for mark in item.iter_markers("needs")}
        if unmet:
            items.remove(item)
            NOT_RUN.update({name: NOT_RUN.get(name, 0) + 1 for name in unmet})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Each of several processes that share the tests tells the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_run"] = NOT_RUN


def pytest_testnodedown(node: WorkerController) -> None:
    NOT_RUN.update(node.workeroutput["not_run"])  # all of them have seen all tests


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(NOT_RUN.items()):
        tests = "1 test that needs" if count == 1 else f"{count} tests that need"
        terminalreporter.write_line(f"Not run: {tests} {name} ({NEEDS[name].advice}).")


@pytest.fixture(scope="session", autouse=True)
def _light_password_hashes() -> Iterator[None]:
    """Hash passwords cheaply: argon2id with its real parameters would be a tenth of all tests' time."""
    light = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_passwords", light)
        patch.setattr(hashing, "_HASH_OF_NO_PASSWORD", hash_of_no_password(light))
        yield


@pytest.fixture(scope="session", autouse=True)
def _share_compiled_statements() -> Iterator[None]:
    """Compile each statement once: every test has an engine of its own, and compiling was a third of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.storage.database._engine", sharing_statements(_engine))
        patch.setattr(Mapper, "_compiled_cache", statements)  # of what a session inserts, updates and deletes
        yield


@pytest.fixture(scope="session", autouse=True)
def _late_removal() -> Iterator[None]:
    """Let no app remove expired rows, which was a tenth of a short test's time, unless the test asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(housekeeping, "REMOVE_AFTER_SECONDS", 3600)
        yield


@pytest.fixture
def prompt_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "REMOVE_AFTER_SECONDS", 0)
    monkeypatch.setattr(housekeeping, "STEADY_SECONDS", 0)


@pytest.fixture(autouse=True)
def _begin_with_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a code of an authenticator app begin with the test, so that it does not end before the server checks it."""
    began = time.time()
    first = second_factors.current_step()
    monkeypatch.setattr(second_factors, "current_step", lambda: first + int(time.time() - began) // STEP_SECONDS)


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """A SQLite file with the newest schema and nothing in it, to be copied."""
    return _migrated_file()


@functools.cache  # the runs of the controls share it
def _migrated_file() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="template-")
    atexit.register(folder.cleanup)
    file = Path(folder.name) / "selfmemory.db"
    migrate(f"sqlite:///{file}")
    return file


@functools.cache
def _filled_file(names: tuple[str, ...]) -> tuple[Path, dict[str, Any]]:
    file = Path(shutil.copy(_migrated_file(), _migrated_file().with_name("-".join(["with", *names]))))
    return file, fill(f"sqlite:///{file}", names)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A Postgres server in which tests make their databases."""
    with running_postgres() as url:
        databases = Databases(url)
        yield databases
        databases.close()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with running_redis() as url:
        yield url


@pytest.fixture
def prepared() -> dict[str, Any]:
    """What fixtures find in the database, by their names."""
    return {}


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, prepared: dict[str, Any]) -> Iterator[str]:
    """A migrated database; on SQLite, or on what `pytest_generate_tests` chose. Only `prepared` is in it."""
    names = tuple(name for name in CREATORS if name in request.fixturenames)
    if getattr(request, "param", "sqlite") == "postgres":
        databases: Databases = request.getfixturevalue("postgres")
        url, found = databases.make_filled(names)
        prepared.update(found)
        yield url
        databases.drop(url)
    else:
        (tmp_path / "data").mkdir()
        template, found = _filled_file(names)
        prepared.update(found)
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'data' / 'selfmemory.db')}"


@functools.cache
def _defaults() -> Settings:
    return read_settings(env_file=None, rate_limit_enabled=False, public_url=ORIGIN)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return _defaults().model_copy(update={"data_dir": tmp_path / "data", "database_url": SecretStr(database_url)})


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The running app: its lifespan has begun, and ends after the test."""
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as app:
        yield app


@pytest.fixture
async def client(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a credential."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


@pytest.fixture
def database(settings: Settings, app: ASGIApp) -> Iterator[Database]:
    """A second door to the running app's database, to arrange what no public door can."""
    database = Database(settings.database_url.get_secret_value(), connections=2)
    yield database
    database.close()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The logging that a command sets up ends with the test, as does the standard error that it writes to."""
    loggers = [logging.getLogger(name) for name in ("", "server", "rest", "tools", "oauth")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
