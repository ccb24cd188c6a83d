"""What processes and folders take (Linux)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def resident_mb(pid: int) -> Iterator[float]:
    """Yield the memory of a process and of its children, in MB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    yield int(status.partition("VmRSS:")[2].split()[0]) / 1024
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread or the child has just ended
            for child in (task / "children").read_text("ascii").split():
                yield from resident_mb(int(child))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)
    return own + sum(cpu_seconds(int(child)) for child in children)


def disk_mb(folder: Path) -> float:
    """Return what a folder holds, in MB, without the model."""
    files = (path for path in folder.rglob("*") if path.is_file() and "models" not in path.relative_to(folder).parts)
    return sum(path.stat().st_size for path in files) / 1e6
