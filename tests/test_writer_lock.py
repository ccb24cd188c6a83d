"""Only one writer at a time has the lock of a SQLite database."""

import errno
import fcntl
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from server.storage import writer_lock
from server.storage.writer_lock import WriterLock

Flock = Callable[[int, int], None]


def replace_flock(monkeypatch: pytest.MonkeyPatch, flock: Flock) -> None:
    names = SimpleNamespace(flock=flock, LOCK_EX=fcntl.LOCK_EX, LOCK_UN=fcntl.LOCK_UN)
    monkeypatch.setattr(writer_lock, "fcntl", names)


def test_a_writer_that_comes_while_an_unwanted_lock_is_released_gets_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that waited for a writer that gave up gets the lock, and releases it."""
    is_releasing, may_release = threading.Event(), threading.Event()

    def flock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_UN and threading.current_thread().name == "writer-lock":
            is_releasing.set()
            may_release.wait(5)
        fcntl.flock(descriptor, operation)

    replace_flock(monkeypatch, flock)
    ours, of_another_process = WriterLock(tmp_path / "lock"), WriterLock(tmp_path / "lock")
    assert of_another_process.acquire(1)
    assert not ours.acquire(0.1)
    of_another_process.release()
    assert is_releasing.wait(5)
    writer = threading.Thread(target=ours.acquire, args=(5,))
    writer.start()
    writer.join(0.2)
    may_release.set()
    writer.join()
    assert not of_another_process.acquire(0.1)
    ours.release()
    ours.close()
    of_another_process.close()


def test_a_wait_that_the_file_system_refuses_fails_and_the_next_writer_gets_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [OSError(errno.ENOLCK, "No locks available")]

    def flock(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and refusals:
            raise refusals.pop()
        fcntl.flock(descriptor, operation)

    replace_flock(monkeypatch, flock)
    ours, of_another_process = WriterLock(tmp_path / "lock"), WriterLock(tmp_path / "lock")
    assert of_another_process.acquire(1)
    assert not ours.acquire(5)
    assert not refusals
    of_another_process.release()
    assert ours.acquire(5)
    ours.release()
    ours.close()
    of_another_process.close()
