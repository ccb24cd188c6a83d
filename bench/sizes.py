"""What processes and folders take (Linux)."""

import contextlib
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


def disk_mb(folder: Path) -> float:
    """Return what a folder holds, in MB, without the model."""
    files = (path for path in folder.rglob("*") if path.is_file() and "models" not in path.relative_to(folder).parts)
    return sum(path.stat().st_size for path in files) / 1e6
