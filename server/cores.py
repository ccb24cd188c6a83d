"""How many processors this process may use."""

import math
import os
from pathlib import Path

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much time a container may use: two numbers of microseconds, time and period, or "max"."""


def cpu_count() -> int:
    """Return the processors that the process may run on, or fewer if its container may not use all of their time."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, period = QUOTA_FILE.read_text("ascii").split()
        return min(count, max(1, math.floor(int(time) / int(period))))
    except (OSError, ValueError):
        return count


def share(workers: int) -> int:
    """Return the processors of one of so many processes, at least one."""
    return max(1, cpu_count() // workers)
