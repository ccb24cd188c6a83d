"""Two simultaneous transactions do not undo or contradict each other's changes and deletions."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlmodel import Session, select

from server.domain import addresses, credentials
from server.domain.constraints import EmailTaken
from server.domain.credentials import PresentedCredential
from server.domain.grants import authorizations, clients
from server.domain.grants.authorizations import ConsentRequest
from server.domain.memory import deletions, memories, repeats
from server.domain.memory.exchange.lines import Line
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.repeats import Outcome
from server.domain.memory.storing import embedding_input, hash_content
from server.domain.people import sessions, users
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import projects
from server.errors import NotFound
from server.index.model.embeddings import Embedder
from server.index.prepared import PreparedIndex
from server.mailer import Mailer
from server.models import Memory, Piece, User
from server.principal import Scope
from server.settings import Settings
from tests.conftest import ORIGIN
from tests.support.fakes import WordEmbedder
from tests.support.world import World, opened, wait_for_a_waiter


class BlockedEmbedder(WordEmbedder):
    """Another model. Its first batch waits until the test sets `may_continue`."""

    name = "other/test"

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_continue = threading.Event()

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> NDArray[np.float32]:
        if not self.has_begun.is_set():
            self.has_begun.set()
            self.may_continue.wait(20)
        return super().embed(texts, is_question=is_question)

    def close(self) -> None:
        self.may_continue.set()


class IdleEmbedder(BlockedEmbedder):
    """Embeds in the caller's thread. Its batches wait only after the test has cleared `has_begun`."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun.set()

    def is_idle(self) -> bool:
        return True


def add_to(world: World) -> None:
    world.add("a red kayak")


def import_into(world: World) -> None:
    import_memories(world.database, world.project_id, [Line(content="a red kayak")], world.index)


def connect_to(world: World) -> None:
    with world.database.write() as session:
        client, _ = clients.configure(session, "App", ["https://app.example/back"], ORIGIN, is_confidential=False)
        user = session.get_one(User, world.principal.user_id)
        value = sessions.begin(session, user, BrowserInfo(1))
        principal = credentials.authenticate(session, PresentedCredential(value, is_session=True)).principal
        consent = ConsentRequest(client.id, client.redirect_uris[0], (Scope.READ,), None, "x" * 43)
        request = authorizations.begin(session, principal, consent)
    with world.database.write() as session:
        authorizations.approve(session, principal, request.id, world.project_id, 60, read_only=False)


@pytest.mark.parametrize("bring_into", [add_to, import_into, connect_to])
def test_nothing_enters_a_project_that_is_being_deleted(world: World, bring_into: Callable[[World], None]) -> None:
    other = world.another_project()
    errors: list[NotFound] = []

    def expect_not_found() -> None:
        try:
            bring_into(other)
        except NotFound as error:
            errors.append(error)

    with world.database.write() as session:
        projects.delete(session, world.principal, other.project_id)
        adding = threading.Thread(target=expect_not_found)
        adding.start()
        wait_for_a_waiter(world.database)
    adding.join(20)
    assert [error.detail for error in errors] == ["Project not found."]


def test_of_two_accounts_that_change_to_one_address_one_gets_it(world: World) -> None:
    mailer, refused = Mailer(ORIGIN), list[EmailTaken]()
    with world.database.write() as session:
        second_id = users.register(session, "second@example.com", "", None, verified=True).id

    def change(session: Session, user_id: str) -> None:
        addresses.change(session, session.get_one(User, user_id), "new@example.com", mailer)

    def expect_taken() -> None:
        try:
            with world.database.write() as session:
                change(session, second_id)
        except EmailTaken as error:
            refused.append(error)

    with world.database.write() as session:
        change(session, world.principal.user_id)
        changing = threading.Thread(target=expect_taken)
        changing.start()
        wait_for_a_waiter(world.database)
    changing.join(20)
    assert len(refused) == 1


def test_a_change_during_reembedding_keeps_its_own_vectors(settings: Settings, embedder: Embedder) -> None:
    with opened(settings, embedder) as before:
        memory_id = before.add("canoe trip")
    blocked = BlockedEmbedder()
    with opened(settings, blocked) as after:
        assert blocked.has_begun.wait(20)
        with after.database.write() as session:
            change = MemoryChange(text="A red kayak was bought. It leaks at the stern.")
            memories.update(session, after.principal, memory_id, change, after.index)
            blocked.may_continue.set()
            wait_for_a_waiter(after.database)
    with opened(settings, blocked) as again, again.database.read() as session:  # closing `after` ended its worker
        memory = session.exec(select(Memory).where(Memory.id == memory_id)).one()
        ends = session.exec(select(Piece.end).where(Piece.memory_number == memory.number)).all()
    assert (len(ends), max(ends)) == (memory.piece_count, len(memory.content))


def test_who_waits_to_repeat_a_text_keeps_nobody_from_its_memory(world: World) -> None:
    text = "a red kayak"
    memory_id = world.add(text)

    def repeat() -> None:
        with world.database.write() as session:
            new = NewMemory(content=text, project_id=world.project_id)
            repeats.remember(session, world.principal, new, world.index)

    with world.database.write() as session:
        repeats.lock_text(session, world.project_id, hash_content(text))
        repeating = threading.Thread(target=repeat)
        repeating.start()
        wait_for_a_waiter(world.database)
        query = select(Memory.id).where(Memory.id == memory_id)
        assert session.exec(query.with_for_update(nowait=True)).one() == memory_id
    repeating.join(20)


def test_a_text_that_is_deleted_while_two_callers_repeat_it_is_remembered_once(settings: Settings) -> None:
    embedder, text = IdleEmbedder(), "a red kayak"
    with opened(settings, embedder) as world:
        first_id = world.add(text)
        quick, slow = (PreparedIndex(world.index, "caller") for _ in range(2))
        quick.embed([embedding_input(text, {})])
        new = NewMemory(content=text, project_id=world.project_id)

        def repeat(index: PreparedIndex) -> None:
            with world.database.write() as session:
                repeats.remember(session, world.principal, new, index)

        repeating = threading.Thread(target=repeat, args=(slow,))
        with world.database.write() as session:
            deletions.delete(session, world.principal, first_id)
            repeating.start()
            wait_for_a_waiter(world.database)
            embedder.has_begun.clear()
        assert embedder.has_begun.wait(20)
        repeat(quick)
        embedder.may_continue.set()
        repeating.join(20)
        with world.database.read() as session:
            assert len(session.exec(select(Memory.id)).all()) == 1


def test_a_text_that_is_deleted_while_its_speaker_is_embedded_is_remembered_again(settings: Settings) -> None:
    embedder, text = IdleEmbedder(), "a red kayak"
    with opened(settings, embedder) as world:
        first_id = world.add(text)
        new = NewMemory(content=text, metadata={"speaker": "Anna"}, project_id=world.project_id)
        outcomes = []

        def repeat() -> None:
            with world.database.write() as session:
                index = PreparedIndex(world.index, "caller")
                outcomes.append(repeats.remember(session, world.principal, new, index).outcome)

        embedder.has_begun.clear()
        repeating = threading.Thread(target=repeat)
        repeating.start()
        assert embedder.has_begun.wait(20)
        world.delete(first_id)
        embedder.may_continue.set()
        repeating.join(20)
        assert outcomes == [Outcome.ADDED]
        assert world.texts("kayak") == [text]
