"""The only file that uses Chroma's API. Chroma, embedded or as a server, holds only ids and vectors.

An embedded Chroma that was not closed may be corrupt in ways that show only later, so its directory is deleted.
"""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import quote
from uuid import uuid4

import chromadb
import httpx
import numpy as np
from chromadb.api.client import Client
from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
from chromadb.config import Settings
from chromadb.errors import ChromaError, NotFoundError

from server.index.chroma.address import address_of
from server.index.chroma.failures import ChromaFailed
from server.index.types import Vector, Vectors
from server.machine import open_files
from server.settings import Settings as ServerSettings

SYNC_THRESHOLD = 1_000
"""After this many changes, Chroma writes a collection's files."""

HNSW = CreateHNSWConfiguration(space="cosine", ef_search=200, sync_threshold=SYNC_THRESHOLD)
PieceId = tuple[int, int]
"""A memory's number and the position of its piece. No memory has the number 0."""

NONEXISTENT_PIECES = 250
"""How many nonexistent pieces `write_files` deletes at a time."""

REQUEST_TIMEOUT_SECONDS = 3.0
"""The time limit for an answer of a Chroma server. Chroma's client has no limit, so searches could wait forever."""

OPENING_REQUESTS = 4
"""How many requests Chroma's client sends when it is created, without a time limit."""

OF_DATABASE = "returned from database"
"""What Chroma says when its own database fails. It may have left a write transaction open. The next write would wait
for that transaction forever, and would hold the GIL.
"""

PANIC = "PanicException"
"""The name of what Chroma's code in Rust raises for a bug, or when it gets no file or thread. It is no `Exception`, and
no program can import it.
"""

_OPEN = "open"
"""The name of a file that exists while the embedded Chroma is in use."""


class Chroma:
    """The collections of this installation, by name. `fresh` is true if the directory was new or had to be deleted."""

    def __init__(
        self, client: Client, folder: Path | None, prefix: str, *, fresh: bool, earlier_prefix: str | None = None
    ) -> None:
        self._client = client
        self._folder = folder
        self._prefix = prefix
        self._prefixes = (prefix, earlier_prefix or prefix)
        self.fresh = fresh
        self._collections: dict[str, chromadb.Collection] = {}

    def new_name(self) -> str:
        """Return a name for a new collection. Store it before you create the collection, or a sweep deletes that."""
        return f"{self._prefix}{uuid4().hex}"

    def create_collection(self, name: str) -> None:
        """Create an empty collection, unless it exists."""
        with self._translating():
            self._collections[name] = self._client.get_or_create_collection(
                name, embedding_function=None, configuration=CreateCollectionConfiguration(hnsw=HNSW)
            )

    def upsert(self, name: str, pieces: Sequence[PieceId], vectors: Vectors) -> None:
        """Write the vectors. Pass few rows: Chroma holds the GIL for about 20 ms plus 1 ms per row."""
        with self._translating(name):
            self._collection(name).upsert(ids=_ids(pieces), embeddings=np.ascontiguousarray(vectors, np.float32))

    def erase_pieces(self, name: str, pieces: Sequence[PieceId], dimensions: int) -> None:
        """Delete the pieces, whether or not they exist. Pass few, as to `upsert`. Chroma only marks deleted vectors
        and keeps them in its graph. So each one is overwritten with a random vector first: equal vectors would become
        each other's neighbors.
        """
        noise = np.random.default_rng().standard_normal((len(pieces), dimensions), np.float32)
        self.upsert(name, pieces, noise)
        with self._translating(name):
            self._collection(name).delete(ids=_ids(pieces))

    def write_files(self, name: str) -> None:
        """Make Chroma write the collection's files, by sending it enough changes that have no effect."""
        for start in range(0, SYNC_THRESHOLD, NONEXISTENT_PIECES):
            with self._translating(name):
                self._collection(name).delete(
                    ids=_ids([(0, start + position) for position in range(NONEXISTENT_PIECES)])
                )

    def find_nearest(self, name: str, question: Vector, count: int) -> list[int]:
        """Return the numbers of the memories that own the `count` nearest pieces, nearest first."""
        with self._translating(name):
            result = self._collection(name).query(query_embeddings=question.reshape(1, -1), n_results=count, include=[])
        return list(dict.fromkeys(int(piece.partition(":")[0]) for piece in result["ids"][0]))

    def count(self, name: str) -> int:
        """Return the number of pieces in the collection."""
        with self._translating(name):
            return self._collection(name).count()

    def list_names(self) -> set[str]:
        """Return the names of all collections of this installation."""
        with self._translating():
            names = {collection.name for collection in self._client.list_collections()}
        return {name for name in names if name.startswith(self._prefixes)}

    def delete_collection(self, name: str) -> None:
        """Delete the collection and its files, which Chroma itself leaves behind."""
        with self._translating():
            self._collections.pop(name, None)
            self._client.delete_collection(name)
            if self._folder:
                _remove_orphans(self._folder)

    def close(self) -> None:
        """Close Chroma, and record that an embedded one's directory is intact."""
        with self._translating():
            self._client.close()
        if self._folder:
            (self._folder.parent / _OPEN).unlink(missing_ok=True)

    def abandon(self) -> None:
        """Close a damaged embedded Chroma. The next `open_embedded` replaces its directory."""
        with suppress(ChromaFailed), self._translating():
            self._client.close()

    def _translating(self, name: str | None = None) -> AbstractContextManager[None]:
        return _translating(self._folder is not None, name)

    def _collection(self, name: str) -> chromadb.Collection:
        if name not in self._collections:
            self._collections[name] = self._client.get_collection(name, embedding_function=None)
        return self._collections[name]


def open_embedded(root: Path) -> Chroma:
    """Open the Chroma in `root`, or a fresh one if the last was not closed. Raises ChromaFailed.

    Only the process that holds `server.index.upkeep.owner_lock` may call this.
    """
    open_files.raise_limit()  # Chroma uses a fifth of the limit and fails beyond that
    with _translating(is_embedded=True):
        root.mkdir(parents=True, exist_ok=True)
        folders = [path for path in root.iterdir() if path.is_dir()]
        if (root / _OPEN).exists() or len(folders) > 1:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            folders = []
        (root / _OPEN).touch()
        folder = folders[0] if folders else root / uuid4().hex
        _remove_orphans(folder)
        client = cast(Client, chromadb.PersistentClient(str(folder), settings=_quiet()))
    return Chroma(client, folder, "memories-", fresh=not folders)


def open_served(settings: ServerSettings, prefix: str, earlier_prefix: str) -> Chroma:
    """Connect to a Chroma server. `prefix` marks our collections, since others may use the server too.

    `earlier_prefix` marks collections that an earlier version of this server created.

    Raises ChromaFailed if the server does not answer.
    """
    base, port, headers = address_of(settings)
    connect = partial(
        chromadb.HttpClient,
        base,
        port,
        ssl=base.startswith("https:"),
        headers=headers,
        settings=_quiet(),
        tenant=settings.chroma_tenant,
        database=settings.chroma_database,
    )
    with _translating(is_embedded=False):
        # Chroma's client sends this request when it is created, before a timeout can be set, and hides why it fails.
        _require_answer(f"{base}/api/v2/auth/identity", headers)
        try:
            client = _within(OPENING_REQUESTS * REQUEST_TIMEOUT_SECONDS, lambda: cast(Client, connect()))
        except ValueError as error:  # Chroma's client raises this for a refused connection
            raise ChromaFailed("ConnectError") from error
    client._server._session.timeout = REQUEST_TIMEOUT_SECONDS  # type: ignore[attr-defined]  # the client has no option for it
    return Chroma(client, None, prefix, fresh=False, earlier_prefix=earlier_prefix)


def _require_answer(address: str, headers: dict[str, str]) -> None:
    """Raises ChromaFailed unless a server answers there and accepts the token."""
    status = httpx.get(address, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS).status_code
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ChromaFailed("Unauthorized")
    if status != httpx.codes.OK:
        raise ChromaFailed(f"HTTP {status}")


def _within(seconds: float, work: Callable[[], Client]) -> Client:
    """Return the result of `work`, which has no time limit of its own. Raises ChromaFailed after `seconds`."""
    result: Future[Client] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except Exception as error:  # noqa: BLE001 - the waiting thread raises it
            result.set_exception(error)

    threading.Thread(target=run, name="chroma-opening", daemon=True).start()
    try:
        return result.result(seconds)
    except FutureTimeout:
        raise ChromaFailed("ConnectTimeout") from None


def _quiet() -> Settings:
    """Return new settings. Each client needs its own, because it writes its address into them."""
    return Settings(anonymized_telemetry=False)


@contextmanager
def _translating(is_embedded: bool, name: str | None = None) -> Iterator[None]:
    """Turn the exceptions of Chroma and its libraries into ChromaFailed.

    A missing collection is damage, and so is any other error of an embedded Chroma: of all collections, if it comes
    from the database that they share, or is a panic. A server may just be busy, or refuse us.
    """
    try:
        yield
    except ChromaFailed:
        raise
    except (ChromaError, sqlite3.Error) as error:
        damage = is_embedded or isinstance(error, NotFoundError)
        damaged = None if is_embedded and OF_DATABASE in str(error) else name
        raise ChromaFailed(type(error).__name__, damage=damage, collection=damaged) from error
    except Exception as error:  # for a proxy's answers, Chroma's client raises bare exceptions
        raise ChromaFailed(_kind(error), collection=name) from error
    except BaseException as error:
        if type(error).__name__ != PANIC:
            raise
        raise ChromaFailed(PANIC, damage=is_embedded) from error


def _kind(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "CertificateRefused"
    return type(error).__name__ if type(error) is not Exception else "UnexpectedAnswer"


def _ids(pieces: Sequence[PieceId]) -> list[str]:
    return [f"{number}:{position}" for number, position in pieces]


def _remove_orphans(folder: Path) -> None:
    """Delete the directories of segments that no collection uses."""
    file = folder / "chroma.sqlite3"
    if not file.exists():
        return
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
        known = {row[0] for row in connection.execute("SELECT id FROM segments")}
    for path in folder.iterdir():
        if path.is_dir() and path.name not in known:
            shutil.rmtree(path, ignore_errors=True)
