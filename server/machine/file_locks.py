"""Locks on files, which all processes of a machine respect. The kernel releases them when the process ends."""

import fcntl
from typing import IO


def try_lock(file: int | IO[str] | IO[bytes]) -> bool:
    """Lock the open file, or its descriptor. Return False if another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
