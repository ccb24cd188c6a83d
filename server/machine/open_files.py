"""Raises the limit on open files. Each connection uses one, and each collection of an embedded Chroma uses four."""

import contextlib
import resource

WANTED = 65_536


def raise_limit() -> None:
    """Raise the limit to the system's maximum, or to `WANTED` if there is none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # the kernel has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Return how many connections the process may have: half of its files, so that the database can open the others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (WANTED if soft == resource.RLIM_INFINITY else soft) // 2
