"""The page of an import says that it is done when all of it can be found."""

import errno
import os
from collections.abc import Iterable, Iterator
from typing import IO

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from server.dashboard.views import uploads
from server.domain.memory import imports, unfinished
from server.domain.memory.duplicates import NumberedLine
from server.domain.memory.exchange.lines import Line, memory_of
from server.domain.memory.publishing import Staged
from server.errors import Unavailable
from server.index.types import UNEMBEDDED
from server.models import BrowserSession, Import, Memory
from server.principal import Principal
from server.settings import Settings
from server.shell.uploads import DiskFailed, State, Uploads, Work
from server.storage.database import Database
from tests.dashboard.test_exchange import import_all, line, upload, uploaded
from tests.support.visitors import Visitor, seen

DISK_FAILED = DiskFailed.sentence


async def test_an_import_ends_when_all_of_it_can_be_found(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = imports.publish
    failures = iter([Unavailable])
    monkeypatch.setattr(uploads, "RETRY_SECONDS", 0)

    def fail_once(session: Session, principal: Principal | None, import_id: str) -> bool:
        for failure in failures:
            raise failure
        return publish(session, principal, import_id)

    monkeypatch.setattr(imports, "publish", fail_once)
    assert "1 memory imported" in seen(await import_all(ann, line("Tea.")))
    assert "Tea." in await ann.see(f"{ann.project}/memories")


def delete_meanwhile(table: type[BrowserSession | Import], database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete all rows of the table after the next import has begun, before it reads its lines."""
    in_chunks = imports.in_chunks

    def read(lines: Iterable[Line]) -> Iterator[list[NumberedLine]]:
        with database.write() as session:
            session.execute(sa.delete(table))
        return in_chunks(lines)

    monkeypatch.setattr(imports, "in_chunks", read)


async def test_an_import_ends_with_the_session_that_began_it(
    ann: Visitor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_meanwhile(BrowserSession, database, monkeypatch)
    await import_all(ann, line("Tea."))
    with database.read() as session:
        assert not session.scalars(sa.select(col(Memory.number))).all()
        assert not session.scalars(sa.select(col(Import.id))).all()


async def test_an_import_whose_lines_were_discarded_says_so(
    ann: Visitor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As housekeeping does with an import that another process left half an hour ago, which was only frozen."""
    delete_meanwhile(Import, database, monkeypatch)
    page = seen(await import_all(ann, line("Tea.")))
    ended = "The import made no progress for half an hour, or its project was deleted. Import the file again."
    assert f"Nothing was imported. {ended}" in page


async def test_what_an_import_skips_can_be_found(
    ann: Visitor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another import was committed, and its process ended before it was published."""
    monkeypatch.setattr(unfinished, "left_behind", lambda *_args: [])
    with database.write() as session:
        import_id = imports.begin(session, None, ann.tenant.project_id)
        tea = Line(content="Tea.")
        imports.keep(session, import_id, [Staged(1, tea, memory_of(tea), UNEMBEDDED)])
        imports.commit(session, None, import_id)
    assert "0 memories imported. 1 memory skipped" in seen(await import_all(ann, line("Tea.")))
    assert "Tea." in await ann.see(f"{ann.project}/memories")


async def test_an_import_that_a_restart_interrupted_can_be_started_again(ann: Visitor, settings: Settings) -> None:
    page, work = await claimed(ann, settings)
    assert "The import continues" in await ann.see(page)
    assert (await ann.get(page)).headers["refresh"] == "2"
    assert (await upload(ann, line("Coffee."))).status_code == 409
    work.lock.close()  # as the kernel does when a process ends
    assert "The import was interrupted. Start it again" in await ann.see(page)
    await ann.do(page)
    assert "1 memory imported" in await ann.see(page)


async def test_an_import_that_takes_longer_than_a_day_continues(ann: Visitor, settings: Settings) -> None:
    page, work = await claimed(ann, settings)
    store = Uploads(settings.data_dir)
    for path in store.path_of(work.upload).parent.iterdir():
        os.utime(path, (0, 0))
    store.save(work.upload, read=1)
    store.remove_old()
    assert "The import continues" in await ann.see(page)
    work.lock.close()
    await ann.do(page)
    assert "1 memory imported" in await ann.see(page)


async def test_an_import_that_is_started_again_counts_what_has_expired_once(ann: Visitor, settings: Settings) -> None:
    page, work = await claimed(ann, settings, line("Tea.", expires_at="2020-01-01T00:00:00Z"))
    Uploads(settings.data_dir).save(work.upload, read=1, expired=1)
    work.lock.close()
    await ann.do(page)
    assert "0 memories imported. 1 memory skipped: it has expired" in await ann.see(page)


async def test_a_new_file_is_accepted_after_an_interruption(ann: Visitor, settings: Settings) -> None:
    for state in (State.READING, State.IMPORTING, State.COMMITTED):
        _, work = await claimed(ann, settings)
        Uploads(settings.data_dir).save(work.upload, state=state)
        work.lock.close()
        assert (await upload(ann, line("Coffee."))).status_code == 303


async def test_a_file_that_was_not_read_to_its_end_is_not_offered(ann: Visitor, settings: Settings) -> None:
    page, work = await claimed(ann, settings)
    store = Uploads(settings.data_dir)
    store.save(work.upload, state=State.READING)
    work.lock.close()
    assert "Nothing was imported. Reading the file was interrupted." in await ann.see(page)
    assert not store.path_of(work.upload).exists()


async def test_a_file_whose_reading_ends_while_its_page_is_opened_is_offered(
    ann: Visitor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, work = await claimed(ann, settings)
    lock = Uploads._lock
    read = Uploads(settings.data_dir).save(work.upload, state=State.READING)

    def read_to_its_end(store: Uploads, user_id: str) -> IO[bytes] | None:
        store.save(read, state=State.WAITING)
        work.lock.close()
        return lock(store, user_id)

    with monkeypatch.context() as patched:
        patched.setattr(Uploads, "_lock", read_to_its_end)
        await ann.see(page)
    await ann.do(page)
    assert "1 memory imported" in await ann.see(page)


async def test_an_import_that_was_committed_before_an_interruption_is_done_when_it_is_published(
    ann: Visitor, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "left_behind", lambda *_args: [])
    page, work = await claimed(ann, settings)
    with database.write() as session:
        import_id = imports.begin(session, None, ann.tenant.project_id)
        imports.commit(session, None, import_id)
    store = Uploads(settings.data_dir)
    store.save(work.upload, state=State.COMMITTED, import_id=import_id, read=1, stored=1)
    work.lock.close()
    assert "1 of 1 memory read. You can leave this page. The import continues while you" in await ann.see(page)
    assert not store.path_of(work.upload).exists()
    with database.write() as session:
        imports.finish_project(session, ann.tenant.project_id)
    assert "1 memory imported. 0 memories skipped" in await ann.see(page)


async def claimed(ann: Visitor, settings: Settings, content: bytes = line("Tea.")) -> tuple[str, Work]:
    """Return the page of an import and the work on it, which another process has begun."""
    page = await uploaded(ann, content)
    store = Uploads(settings.data_dir)
    work = store.claim(store.find(page.rpartition("/")[2], ann.tenant.user_id, ann.tenant.project_id))
    assert work
    return page, work


@pytest.mark.parametrize("folder", ["uploads", "exports"])
async def test_a_folder_that_cannot_be_used_makes_the_server_unavailable(
    ann: Visitor, settings: Settings, folder: str
) -> None:
    (settings.data_dir / folder).write_text("a file in its place")
    answer = await (upload(ann, line("Tea.")) if folder == "uploads" else ann.get(f"{ann.project}/export"))
    assert (answer.status_code, DISK_FAILED in seen(answer)) == (503, True)


async def test_an_import_that_the_disk_stopped_at_its_start_can_be_started_again(
    ann: Visitor, settings: Settings
) -> None:
    page = await uploaded(ann, line("Tea."))
    (state,) = settings.data_dir.glob("uploads/*/*.json")
    state.with_suffix(".new").mkdir()  # so that the next state cannot be written
    answer = await ann.post(page)
    assert (answer.status_code, DISK_FAILED in seen(answer)) == (503, True)
    state.with_suffix(".new").rmdir()
    await ann.do(page)
    assert "1 memory imported" in await ann.see(page)


async def test_a_disk_that_fails_after_the_commit_does_not_undo_the_import(
    ann: Visitor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, publish = imports.commit, imports.publish
    states = settings.data_dir / "uploads"

    def commit_and_fail(session: Session, principal: Principal | None, import_id: str) -> None:
        commit(session, principal, import_id)
        for path in states.glob("*/*.json"):
            path.with_suffix(".new").mkdir()  # so that the next state cannot be written

    def recover_and_publish(session: Session, principal: Principal | None, import_id: str) -> bool:
        for path in states.glob("*/*.new"):
            path.rmdir()
        return publish(session, principal, import_id)

    monkeypatch.setattr(imports, "commit", commit_and_fail)
    monkeypatch.setattr(imports, "publish", recover_and_publish)
    monkeypatch.setattr(unfinished, "left_behind", lambda *_args: [])
    assert "1 memory imported" in seen(await import_all(ann, line("Tea.")))


async def test_a_file_whose_state_finds_no_room_on_the_disk_is_removed(
    ann: Visitor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("server.shell.uploads.Path.write_text", full)
    assert (await upload(ann, line("Tea."))).status_code == 503
    assert not list((settings.data_dir / "uploads").rglob("*.file"))
