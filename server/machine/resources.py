"""What this process may use of its machine: processors and memory."""

import math
import os
from pathlib import Path

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""The file with a container's CPU quota on Linux: microseconds per period (or "max"), then the period."""

MEMORY_FILE = Path("/sys/fs/cgroup/memory.max")
"""The file with a container's memory limit on Linux: bytes, or "max"."""


def cpu_count() -> int:
    """Return how many processors this process may use: those it may run on, or fewer if its container has a quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, period = QUOTA_FILE.read_text("ascii").split()
        return min(count, max(1, math.floor(int(time) / int(period))))
    except (OSError, ValueError):
        return count


def share(workers: int) -> int:
    """Return how many processors each of `workers` processes gets, at least one."""
    return max(1, cpu_count() // workers)


def memory_bytes() -> int:
    """Return how much memory this process may use: the machine's, or less if its container has a limit. 0 if the system
    does not say.
    """
    if not hasattr(os, "sysconf"):
        return 0
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(MEMORY_FILE.read_text("ascii")))
    except (OSError, ValueError):
        return physical
