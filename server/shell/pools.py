"""The slots of each kind of work in a process, and how many of them one caller may hold."""

from collections.abc import Callable
from dataclasses import dataclass, fields

from server.shell.operations import HASHING
from server.shell.shares import Shares, Threads


@dataclass(frozen=True, slots=True)
class Pools:
    """A limit for each kind of work, so that one kind cannot block another. Callers share each limit fairly."""

    authentication: Threads
    reads: Threads
    """Only a few threads: reads are CPU-bound, and the GIL runs one thread at a time."""

    writes: Threads
    passwords: Threads
    """Only a few threads: hashing a password takes 64 MB and all cores."""

    pages: Threads
    """Work of pages: templates, forms, small parts of files. It must be short, because everybody's pages need it."""

    files: Threads
    """Reading uploaded files, a part at a time."""

    exports: Threads
    """Writing exports, which takes minutes for a large project."""

    texts: Shares
    """Calls whose texts wait for the model. The model alternates between calls, so each caller may have only a few."""

    questions: Shares
    imports: Shares
    """Imports that people start on pages."""

    bodies: Shares
    """Requests with a large body. It stays in memory until the request ends."""

    def for_writing(self, operation: Callable[..., object]) -> Threads:
        return self.passwords if operation in HASHING else self.writes

    def close(self) -> None:
        """End the threads."""
        for pool in (getattr(self, field.name) for field in fields(self)):
            if isinstance(pool, Threads):
                pool.close()


def new_pools() -> Pools:
    return Pools(
        authentication=Threads("authentication", 4, share=2),
        reads=Threads("reads", 6, share=2),
        writes=Threads("writes", 8, share=2),
        passwords=Threads("passwords", 2, share=1),
        pages=Threads("pages", 8, share=2),
        files=Threads("files", 3, share=1),
        exports=Threads("exports", 3, share=1),
        texts=Shares(64, share=2),
        questions=Shares(64, share=4),
        imports=Shares(4, share=1),
        bodies=Shares(8, share=2),
    )
