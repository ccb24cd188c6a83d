"""Only one writer at a time has the lock of a SQLite database."""

import fcntl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from server.storage import writer_lock
from server.storage.writer_lock import WriterLock


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

    monkeypatch.setattr(
        writer_lock, "fcntl", SimpleNamespace(flock=flock, LOCK_EX=fcntl.LOCK_EX, LOCK_UN=fcntl.LOCK_UN)
    )
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
