"""Two transactions at once: what one of them deletes or changes, the other does not bring back or contradict."""

import json
import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlmodel import select

from server.domain import credentials
from server.domain.credentials import PresentedCredential
from server.domain.grants import authorizations, clients
from server.domain.grants.authorizations import ConsentRequest
from server.domain.memory import memories
from server.domain.memory.exchange import import_memories
from server.domain.people import sessions
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import projects
from server.errors import NotFound
from server.index.model.embeddings import Embedder
from server.models import Memory, Piece, User
from server.principal import Scope
from server.settings import Settings
from tests.support.fakes import WordEmbedder
from tests.support.world import World, opened, wait_for_a_waiter


class Held(WordEmbedder):
    """Another model, whose first batch waits until it is let."""

    name = "other/test"

    def __init__(self) -> None:
        self.began, self.may = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str], /, *, urgent: bool = False) -> NDArray[np.float32]:
        if not self.began.is_set():
            self.began.set()
            self.may.wait(20)
        return super().embed(texts, urgent=urgent)

    def close(self) -> None:
        self.may.set()


def add_to(world: World) -> None:
    world.add("a red kayak")


def import_into(world: World) -> None:
    line = {"content": "a red kayak", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}
    with world.database.write() as session:
        import_memories(session, world.project_id, [json.dumps(line)], world.index)


def connect_to(world: World) -> None:
    with world.database.write() as session:
        client, _ = clients.configure(session, "App", ["https://app.example/back"], is_confidential=False)
        user = session.get_one(User, world.principal.user_id)
        value = sessions.begin(session, user, BrowserInfo(1))
        principal = credentials.authenticate(session, PresentedCredential(value, is_session=True)).principal
        asked = ConsentRequest(client.id, client.redirect_uris[0], (Scope.READ,), None, "x" * 43)
        request = authorizations.begin(session, principal, asked)
    with world.database.write() as session:
        authorizations.approve(session, principal, request.id, world.project_id, 60)


@pytest.mark.parametrize("bring", [add_to, import_into, connect_to])
def test_what_is_brought_into_a_project_that_is_being_deleted_finds_none(
    world: World, bring: Callable[[World], None]
) -> None:
    other, refused = world.another_project(), list[NotFound]()

    def try_to() -> None:
        try:
            bring(other)
        except NotFound as error:
            refused.append(error)

    with world.database.write() as session:
        projects.delete(session, world.principal, other.project_id)
        adding = threading.Thread(target=try_to)
        adding.start()
        wait_for_a_waiter(world.database)
    adding.join(20)
    assert [error.detail for error in refused] == ["Project not found."]


def test_a_change_while_vectors_are_made_anew_keeps_its_own(settings: Settings, embedder: Embedder) -> None:
    with opened(settings, embedder) as before:
        memory_id = before.add("canoe trip")
    held = Held()
    with opened(settings, held) as after:
        assert held.began.wait(20)
        with after.database.write() as session:
            change = memories.MemoryChange(text="A red kayak was bought. It leaks at the stern.")
            memories.update(session, after.principal, memory_id, change, after.index)
            held.may.set()
            wait_for_a_waiter(after.database)
    with opened(settings, held) as again, again.database.read() as session:  # the owner of before has ended its work
        memory = session.exec(select(Memory).where(Memory.id == memory_id)).one()
        ends = session.exec(select(Piece.end).where(Piece.memory_number == memory.number)).all()
    assert (len(ends), max(ends)) == (memory.piece_count, len(memory.content))
