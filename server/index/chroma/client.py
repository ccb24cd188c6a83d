"""The one file that knows Chroma: collections of vectors, embedded or served. It keeps ids and vectors, nothing else.

An embedded Chroma that was not closed may be corrupt in ways that show later: its directory is thrown away, whole.
"""

import resource
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit
from uuid import uuid4

import chromadb
import httpx
import numpy as np
from chromadb.api.client import Client
from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
from chromadb.config import Settings
from chromadb.errors import ChromaError

from server.index.chroma.failures import ChromaFailed
from server.index.outbox import Vectors

HNSW = CreateHNSWConfiguration(space="cosine", ef_search=200, sync_threshold=1000)
PieceId = tuple[int, int]
"""A memory's number and the position of its piece."""

REQUEST_TIMEOUT_SECONDS = 3.0
"""That a Chroma server has for an answer: its own client would wait for ever, and every search with it."""

_OPEN = "open"
"""A file beside the directories that is there while one of them is in use."""


class Chroma:
    """Collections by name, of one installation. `fresh` tells that nothing is left of what there was."""

    def __init__(self, client: Client, folder: Path | None, prefix: str, *, fresh: bool) -> None:
        self._client, self._folder, self._prefix, self.fresh = client, folder, prefix, fresh
        self._collections: dict[str, chromadb.Collection] = {}

    def create(self) -> str:
        """The name of a new, empty collection."""
        name = f"{self._prefix}{uuid4().hex}"
        with _translating():
            self._collections[name] = self._client.create_collection(
                name, embedding_function=None, configuration=CreateCollectionConfiguration(hnsw=HNSW)
            )
        return name

    def put(self, name: str, pieces: Sequence[PieceId], vectors: Vectors) -> None:
        """Freezes the process (Chroma holds the interpreter) for some 20 ms and 1 ms a row: few rows at once."""
        with _translating():
            self._collection(name).upsert(ids=_ids(pieces), embeddings=np.ascontiguousarray(vectors, np.float32))

    def drop(self, name: str, pieces: Sequence[PieceId]) -> None:
        """Those that are not there do not matter."""
        with _translating():
            self._collection(name).delete(ids=_ids(pieces))

    def nearest(self, name: str, question: Vectors, count: int) -> list[int]:
        """The numbers of the memories that the `count` nearest pieces belong to, the nearest first."""
        with _translating():
            found = self._collection(name).query(query_embeddings=question.reshape(1, -1), n_results=count, include=[])
        return list(dict.fromkeys(int(piece.partition(":")[0]) for piece in found["ids"][0]))

    def count(self, name: str) -> int:
        with _translating():
            return self._collection(name).count()

    def names(self) -> set[str]:
        """All collections that are ours."""
        with _translating():
            names = {collection.name for collection in self._client.list_collections()}
        return {name for name in names if name.startswith(self._prefix)}

    def delete(self, name: str) -> None:
        """With its files, which Chroma itself would leave."""
        with _translating():
            self._collections.pop(name, None)
            self._client.delete_collection(name)
            if self._folder:
                _remove_orphans(self._folder)

    def close(self) -> None:
        """After that the directory of an embedded Chroma is known to be whole."""
        with _translating():
            self._client.close()
        if self._folder:
            (self._folder.parent / _OPEN).unlink(missing_ok=True)

    def _collection(self, name: str) -> chromadb.Collection:
        if name not in self._collections:
            self._collections[name] = self._client.get_collection(name, embedding_function=None)
        return self._collections[name]


def open_embedded(root: Path) -> Chroma:
    """The Chroma in this directory; a fresh one when the last was not closed. Raises ChromaFailed.

    Only one process may: see `server.index.upkeep.owner_lock`.
    """
    _raise_file_limit()
    root.mkdir(parents=True, exist_ok=True)
    folders = [path for path in root.iterdir() if path.is_dir()]
    if (root / _OPEN).exists() or len(folders) > 1:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        folders = []
    (root / _OPEN).touch()
    folder = folders[0] if folders else root / uuid4().hex
    with _translating():
        _remove_orphans(folder)
        client = cast(Client, chromadb.PersistentClient(str(folder), settings=_quiet()))
    return Chroma(client, folder, "memories-", fresh=not folders)


def open_served(url: str, prefix: str) -> Chroma:
    """A Chroma server, which others may use too: ours begin with the prefix. Raises ChromaFailed without an answer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "localhost", parts.port or (443 if secure else 8000)
    with _translating():
        httpx.get(
            f"{parts.scheme}://{parts.netloc}/api/v2/heartbeat", timeout=REQUEST_TIMEOUT_SECONDS
        )  # the client asks at once
        try:
            client = cast(Client, chromadb.HttpClient(host=host, port=port, ssl=secure, settings=_quiet()))
        except ValueError as error:  # what it makes of a refused connection
            raise ChromaFailed("ConnectError") from error
    client._server._session.timeout = REQUEST_TIMEOUT_SECONDS  # type: ignore[attr-defined]  # there is no other way to say so
    return Chroma(client, None, prefix, fresh=False)


def _quiet() -> Settings:
    """Anew for each client, which writes its address into them."""
    return Settings(anonymized_telemetry=False)


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except ChromaError as error:
        raise ChromaFailed(type(error).__name__, damage=True) from error
    except sqlite3.Error as error:
        raise ChromaFailed(type(error).__name__, damage=True) from error
    except (httpx.HTTPError, OSError) as error:
        raise ChromaFailed(type(error).__name__) from error


def _ids(pieces: Sequence[PieceId]) -> list[str]:
    return [f"{number}:{position}" for number, position in pieces]


def _raise_file_limit() -> None:
    """Each open collection has four files; Chroma keeps a fifth of the limit open and fails beyond it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _remove_orphans(folder: Path) -> None:
    """Remove the directories of segments that no collection has any more."""
    file = folder / "chroma.sqlite3"
    if not file.exists():
        return
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        known = {row[0] for row in connection.execute("SELECT id FROM segments")}
    for path in folder.iterdir():
        if path.is_dir() and path.name not in known:
            shutil.rmtree(path, ignore_errors=True)
