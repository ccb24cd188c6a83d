"""Measures how long each part of a search takes, in this process, on the data that a benchmark's server has stored."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from sqlmodel import col, select

from server.domain.memory import search
from server.domain.memory.filters import Filters
from server.domain.memory.search import SearchRequest
from server.index import MemoryIndex
from server.index.model.embeddings import open_now
from server.index.words import word_search
from server.models import Project
from server.principal import CredentialKind, Principal
from server.settings import read_settings
from server.storage.database import Database

Question = tuple[str, str | None]
"""A question and the end user whose memories it is about."""

EXACT = 10**9
"""With a collection, the embedding would run in parallel with the words, and the scan would wait for it."""

PARTS: dict[str, tuple[Any, str]] = {
    "embedding": (MemoryIndex, "embed_question"),
    "words": (word_search, "search"),
    "scan": (MemoryIndex, "find_similar"),
    "window": (word_search, "windows_of"),
    "fusion": (search, "rank"),
}
"""The function of each part. The rest of a search is checking rights, filtering, and reading the results."""


def report(environment: dict[str, str], questions: Sequence[Question]) -> None:
    """Print the median of each part, after the server has ended."""
    prefix = "SELFMEMORY_"
    chosen = {name[len(prefix) :].lower(): value for name, value in environment.items() if name.startswith(prefix)}
    settings = read_settings(env_file=None, **chosen).model_copy(update={"exact_scan_limit": EXACT})
    spent: dict[str, list[float]] = {name: [] for name in (*PARTS, "all")}
    with contextlib.ExitStack() as opened:
        database = Database(settings.database_url.get_secret_value(), connections=2)
        opened.callback(database.close)
        index = MemoryIndex(settings, database, open_now(settings))
        opened.callback(index.close)
        for name, (home, function) in PARTS.items():
            opened.enter_context(_timed(home, function, spent[name]))
        with _timed(search, "search", spent["all"]):
            _ask(database, index, questions)
    parts = {name: median(times) for name, times in spent.items()}
    parts["words"] -= parts["window"]  # the search by words computes the windows
    parts["rest"] = parts["all"] - sum(parts[name] for name in PARTS)
    print("A search, by its parts (median ms): " + ", ".join(f"{name} {value:.1f}" for name, value in parts.items()))


def _ask(database: Database, index: MemoryIndex, questions: Sequence[Question]) -> None:
    with database.read() as session:
        project = session.exec(select(Project).order_by(col(Project.piece_count).desc())).first()
    assert project is not None
    principal = Principal(project.created_by, CredentialKind.SESSION, "bench")
    for text, user_id in questions:
        request = SearchRequest(text, Filters(user_id=user_id), project_id=project.id)
        with database.read() as session:
            search.search(session, principal, request, index)


@contextlib.contextmanager
def _timed(home: Any, name: str, spent: list[float]) -> Iterator[None]:
    """Record in `spent` how many milliseconds each call of the function takes."""
    function: Callable[..., Any] = getattr(home, name)

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent.append((time.perf_counter() - began) * 1000)

    setattr(home, name, timed)
    try:
        yield
    finally:
        setattr(home, name, function)
