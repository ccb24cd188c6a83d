"""A user's project with a running index, and the operations that use the index."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import select

from server.domain.memory import deletions, memories, search
from server.domain.memory.filters import Filters
from server.domain.memory.inputs import MemoryChange, Message, NewMemory
from server.domain.memory.search import SearchRequest, SearchResult
from server.domain.people import users
from server.index import MemoryIndex
from server.index.model.embeddings import Embedder
from server.models import BrowserSession, Memory, Organization, Project
from server.models.base import JsonObject, new_id, now
from server.principal import CredentialKind, Principal
from server.settings import Settings
from server.storage.database import Database
from tests.support.fakes import WordEmbedder


@dataclass(frozen=True)
class World:
    """One user's project and the index over its database."""

    settings: Settings
    database: Database
    index: MemoryIndex
    principal: Principal
    project_id: str

    def add(
        self, text: str, *, at: datetime | None = None, user_id: str | None = None, metadata: JsonObject | None = None
    ) -> str:
        return self.add_many([text], at=at, user_id=user_id, metadata=metadata)[0]

    def add_many(
        self,
        texts: Sequence[str],
        *,
        at: datetime | None = None,
        user_id: str | None = None,
        metadata: JsonObject | None = None,
    ) -> list[str]:
        news = [
            NewMemory(
                messages=[Message(role="user", content=text)],
                user_id=user_id,
                metadata=metadata or {},
                created_at=at,
                project_id=self.project_id,
            )
            for text in texts
        ]
        with self.database.write() as session:
            ids = memories.add_many(session, self.principal, news, self.index)
        self.index.wake()
        return ids

    def delete(self, memory_id: str) -> None:
        with self.database.write() as session:
            deletions.delete(session, self.principal, memory_id, permanent=True)
        self.index.wake()

    def update(self, memory_id: str, text: str) -> None:
        with self.database.write() as session:
            memories.update(session, self.principal, memory_id, MemoryChange(text=text), self.index)
        self.index.wake()

    def found(
        self, query: str, filters: Filters | None = None, *, limit: int = 10, threshold: float = 0
    ) -> list[SearchResult]:
        request = SearchRequest(query, filters or Filters(), limit, threshold, project_id=self.project_id)
        with self.database.read() as session:
            return search.search(session, self.principal, request, self.index).results

    def texts(self, query: str, filters: Filters | None = None, *, limit: int = 10) -> list[str]:
        return [result.memory.content for result in self.found(query, filters, limit=limit)]

    def another_project(self) -> "World":
        """Create another project of the same user, with the same index."""
        with self.database.write() as session:
            organization = session.exec(select(Organization)).first()
            owner = self.principal.user_id
            assert organization is not None
            name = new_id("")
            project = Project(organization_id=organization.id, name=name, name_key=name, created_by=owner)
            session.add(project)
            session.flush()
            return World(self.settings, self.database, self.index, self.principal, project.id)

    def memory(self, memory_id: str) -> Memory:
        with self.database.read() as session:
            return session.exec(select(Memory).where(Memory.id == memory_id)).one()


def eventually(is_true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until background work makes the condition true."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        threading.Event().wait(0.02)


def wait_for_a_waiter(database: Database) -> None:
    """Wait until a transaction is waiting for a lock. Does nothing on SQLite, which cannot tell."""

    def is_waiting() -> bool:
        with database.read() as session:
            return bool(session.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    if not database.is_sqlite:
        eventually(is_waiting)


@pytest.fixture
def embedder() -> Embedder:
    return WordEmbedder()


@pytest.fixture
def world(settings: Settings, embedder: Embedder) -> Iterator[World]:
    with opened(settings, embedder) as world:
        yield world


@contextmanager
def opened(settings: Settings, embedder: Embedder) -> Iterator[World]:
    """Open the first user's project, created if necessary, with a running index."""
    database = Database(settings.database_url.get_secret_value(), connections=8, quota=settings.quota)
    index = MemoryIndex(settings, database, embedder)
    index.start()
    try:
        yield _of_first_user(settings, database, index)
    finally:
        index.close()
        database.close()


def _of_first_user(settings: Settings, database: Database, index: MemoryIndex) -> World:
    with database.write() as session:
        user = users.by_email(session, "a@example.com") or users.register(
            session, "a@example.com", "", None, verified=True
        )
        project = session.exec(select(Project).where(Project.created_by == user.id)).first()
        assert project is not None
        expires_at = now() + timedelta(days=1)
        session.merge(BrowserSession(id="session", user_id=user.id, token_hash="session", expires_at=expires_at))
        principal = Principal(user.id, CredentialKind.SESSION, "session")
        return World(settings, database, index, principal, project.id)
