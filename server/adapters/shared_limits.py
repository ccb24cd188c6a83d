"""Stores rate limits for several workers without Redis: in a file of a fixed size that all of them map.

A window is divided into parts, and a hit expires when its whole part has left the window. So a limit never lets too
many hits pass, and counts a hit for at most one part too long.
"""

import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from server.adapters.limit_storage import MovingWindows, as_wall_time

PARTS = 16
"""One part more than a window has, because the newest part is not over yet."""

SLOTS = 1 << 16
"""The number of slots: more than there are keys in use at a time. They take 6 MB."""

PROBES = 8
"""How many slots a key may use. If all of them are taken, the one that expires first is reused."""

_SLOT = struct.Struct(f"<Qdq{PARTS}I")
"""The key's hash, when the slot expires, the number of its newest part, and the hits of each part."""

_SECRET_BYTES = 16
MOST_HITS = (1 << 32) - 1


class SharedWindows(MovingWindows):
    """Implements the two methods that `MovingWindowRateLimiter` uses. Threads and processes may share it."""

    def __init__(self, file: Path, slots: int = SLOTS) -> None:
        super().__init__()
        self._threads = threading.Lock()
        self._count = slots
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _allocate(self._descriptor, slots * _SLOT.size + _SECRET_BYTES)
        self._slots = mmap.mmap(self._descriptor, slots * _SLOT.size + _SECRET_BYTES)
        self._secret = self._shared_secret()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits and return True, unless there would be more than `limit` within `expiry` seconds."""
        with self._locked():
            now = time.monotonic()
            hashed, offset = self._find(key, now)
            newest = _part_of(now, expiry)
            parts = self._read(hashed, offset, newest)
            if sum(parts) + amount > limit:
                return False
            parts[newest % PARTS] = min(parts[newest % PARTS] + amount, MOST_HITS)
            _SLOT.pack_into(self._slots, offset, hashed, now + expiry * PARTS / (PARTS - 1), newest, *parts)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's
        """Return the time of the oldest hits that still count, and the sum of all. Hits expire after `expiry`."""
        with self._locked():
            now = time.monotonic()
            hashed, offset = self._find(key, now)
            newest = _part_of(now, expiry)
            parts = self._read(hashed, offset, newest)
        oldest = next((part for part in range(newest - PARTS + 1, newest + 1) if parts[part % PARTS]), None)
        return as_wall_time(now if oldest is None else (oldest + 1) * expiry / (PARTS - 1)), sum(parts)

    def _shared_secret(self) -> bytes:
        """Return the random end of the file, which the first process writes. With it, nobody outside knows which keys
        share slots: a caller who chooses keys could drive out the counts of failed guesses.
        """
        end = slice(self._count * _SLOT.size, None)
        with self._locked():
            if not any(self._slots[end]):
                self._slots[end] = os.urandom(_SECRET_BYTES)
            return self._slots[end]

    def _find(self, key: str, now: float) -> tuple[int, int]:
        """Return the key's hash, and the offset of the slot that it uses or may take."""
        hashed = int.from_bytes(blake2b(key.encode(), digest_size=8, key=self._secret).digest(), "little")
        free, free_from = 0, float("inf")
        for probe in range(PROBES):
            offset = (hashed + probe) % self._count * _SLOT.size
            slot_hash, expires = struct.unpack_from("<Qd", self._slots, offset)
            if slot_hash == hashed and expires > now:
                return hashed, offset
            if expires < free_from:
                free, free_from = offset, expires
        return hashed, free

    def _read(self, hashed: int, offset: int, newest: int) -> list[int]:
        """Return the hits of each part that still counts. None count if the slot has another key, or has expired."""
        slot_hash, _, last, *parts = _SLOT.unpack_from(self._slots, offset)
        if slot_hash != hashed or newest - last >= PARTS:
            return [0] * PARTS
        for part in range(last + 1, newest + 1):
            parts[part % PARTS] = 0
        return parts

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the file's lock. A caller needs it for some microseconds only. The kernel releases it when a process
        ends.
        """
        with self._threads:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def _allocate(descriptor: int, size: int) -> None:
    """Allocate the file's space now. On a full disk, the kernel kills a process that writes to a page without space."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _part_of(moment: float, expiry: int) -> int:
    return int(moment * (PARTS - 1) / expiry)
