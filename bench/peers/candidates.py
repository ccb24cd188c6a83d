"""What is compared. Each is used through its own public way: REST, MCP, or the functions of a library."""

import contextlib
import itertools
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bench import latency
from bench.peers.installing import Missing, node_script, python_of
from bench.peers.stdio import StdioServer
from bench.server import ROOT, Caller, Server, environment_of, launched
from bench.timing import Timed, timed, timed_by
from server.index.model import bundled
from server.storage.database import Database

LIMIT = 10
BATCH = 500
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "False"}
HASH = re.compile(r"hash: ([0-9a-f]{64})")


class Candidate(Protocol):
    """A memory with an empty folder of its own. It runs from `start` to `stop`.

    `fill` stores texts with random vectors, directly in the database if possible, because embedding takes too long.
    """

    name: str
    way: str
    folder: Path

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def pid(self) -> int: ...
    def fill(self, texts: Sequence[str]) -> None: ...
    def timed(self, operation: str, items: Sequence[Any], clients: int) -> Timed: ...
    def count(self) -> int: ...


class Rest:
    """This server. A client is a connection."""

    name, way = "this server, REST", "REST, a connection a client"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = environment_of(str(folder))
        self._key = ""

    def start(self) -> None:
        self._running = launched(self._environment)
        self._server: Server = self._running.__enter__()
        self._key = self._key or self._server.key("Peers")

    def stop(self) -> None:
        self._running.__exit__(None, None, None)

    def pid(self) -> int:
        return self._server.process.pid

    def fill(self, texts: Sequence[str]) -> None:
        database = Database(f"sqlite:///{self.folder / 'selfmemory.db'}", connections=2)
        project_id = latency.fill(database, self._key, len(texts))
        self._search(self._caller(), latency.question())
        latency.wait_for_collection(database, project_id, self.count())
        database.close()

    def count(self) -> int:
        return int(self._caller().get("/api/memories?limit=1")["total"])

    def timed(self, operation: str, items: Sequence[Any], clients: int) -> Timed:
        ask = getattr(self, f"_{operation}")
        return timed_by([partial(ask, self._caller()) for _ in range(clients)], items)

    def _caller(self) -> Caller:
        return self._server.caller(self._key)

    def _add(self, caller: Caller, text: str) -> Any:
        return caller.post("/api/memories", {"content": text})["memory_id"]

    def _search(self, caller: Caller, question: str) -> Any:
        return caller.post("/api/memories/search", {"query": question, "limit": LIMIT})["results"]

    def _delete(self, caller: Caller, memory_id: str) -> Any:
        return caller.delete(f"/api/memories/{memory_id}")


class Mcp(Rest):
    name, way = "this server, MCP", "MCP over HTTP, a connection a client"

    def _add(self, caller: Caller, text: str) -> Any:
        return self._call(caller, "add_memory", content=text)["memory_id"]

    def _search(self, caller: Caller, question: str) -> Any:
        return self._call(caller, "search", query=question, limit=LIMIT)["results"]

    def _delete(self, caller: Caller, memory_id: str) -> Any:
        return self._call(caller, "delete_memory", id=memory_id)

    def _call(self, caller: Caller, tool: str, **arguments: object) -> Any:
        params = {"name": tool, "arguments": arguments}
        answer = caller.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        if answer["result"]["isError"]:
            raise RuntimeError(f"{tool}: {answer['result']['content']}")
        return answer["result"]["structuredContent"]


class Library:
    """A Python library in a process of its own. A client is a thread there."""

    way = "Python functions, a thread a client"

    def __init__(self, name: str, python: Path, folder: Path) -> None:
        self.name, self.folder, self._python = name, folder, python

    def start(self) -> None:
        command = [str(self._python), "-m", "bench.peers.driver", self.name, model_folder(), str(self.folder)]
        environment = bare_environment(self.folder) | {"PYTHONPATH": str(ROOT)}
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def stop(self) -> None:
        self._process.communicate()

    def pid(self) -> int:
        return self._process.pid

    def fill(self, texts: Sequence[str]) -> None:
        self.timed("fill", list(in_batches(texts)), 1)

    def count(self) -> int:
        return int(self.timed("count", [None], 1).results[0])

    def timed(self, operation: str, items: Sequence[Any], clients: int) -> Timed:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps({"operation": operation, "items": items, "clients": clients}),
            file=self._process.stdin,
            flush=True,
        )
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} has ended: see {self.folder / 'log'}")
        return Timed(**json.loads(answer))


class Stdio:
    """An MCP server that talks over standard input and output. Clients share it, as the windows of one assistant do."""

    way = "MCP over stdio, shared by the clients"

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self._command, self._environment = command, bare_environment(folder) | environment

    def start(self) -> None:
        self._server = StdioServer(self._command, self._environment, self.folder / "log")

    def stop(self) -> None:
        self._server.close()

    def pid(self) -> int:
        return self._server.process.pid

    def timed(self, operation: str, items: Sequence[Any], clients: int) -> Timed:
        return timed(getattr(self, f"_{operation}"), items, clients)


class McpMemoryService(Stdio):
    name = "mcp-memory-service"

    def __init__(self, python: Path, folder: Path) -> None:
        environment = {
            "MCP_MEMORY_STORAGE_BACKEND": "sqlite_vec",
            "MCP_MEMORY_BASE_DIR": str(folder),
            "MCP_MEMORY_SQLITE_PATH": str(folder / "memories.db"),
            "MCP_EMBEDDING_MODEL": model_folder(),
            "MCP_SEMANTIC_DEDUP_ENABLED": "false",
            "MCP_INIT_TIMEOUT": "300",
        }
        super().__init__(folder, [str(python.with_name("memory")), "server"], environment)
        self._filler = Library("mcp-memory-service", python, folder)

    def fill(self, texts: Sequence[str]) -> None:
        self.stop()
        self._filler.start()
        self._filler.fill(texts)
        self._filler.stop()
        self.start()

    def count(self) -> int:
        with contextlib.closing(sqlite3.connect(self.folder / "memories.db")) as database:
            return int(database.execute("SELECT count(*) FROM memories WHERE deleted_at IS NULL").fetchone()[0])

    def _add(self, text: str) -> str:
        answer = self._server.call("memory_store", content=text)["content"][0]["text"]
        found = HASH.search(answer)
        if found is None:
            raise RuntimeError(answer)
        return found[1]

    def _search(self, question: str) -> Any:
        return self._server.call("memory_search", query=question, limit=LIMIT)

    def _delete(self, content_hash: str) -> Any:
        return self._server.call("memory_delete", content_hash=content_hash)


class ServerMemory(Stdio):
    """Keeps a graph in one file. It looks for a part of a text, so the benchmark asks for a word, not a question."""

    name = "server-memory"

    def __init__(self, script: Path, folder: Path) -> None:
        super().__init__(folder, ["node", str(script)], {"MEMORY_FILE_PATH": str(folder / "memory.jsonl")})
        self._numbers = itertools.count()

    def fill(self, texts: Sequence[str]) -> None:
        for batch in in_batches(texts):
            self._server.call("create_entities", entities=[self._entity(text) for text in batch])

    def count(self) -> int:
        return len(self._server.call("read_graph")["structuredContent"]["entities"])

    def _add(self, text: str) -> str:
        entity = self._entity(text)
        self._server.call("create_entities", entities=[entity])
        return str(entity["name"])

    def _search(self, question: str) -> Any:
        return self._server.call("search_nodes", query=max(question.rstrip("?").split(), key=len))

    def _delete(self, name: str) -> Any:
        return self._server.call("delete_entities", entityNames=[name])

    def _entity(self, text: str) -> dict[str, object]:
        return {"name": f"memory {next(self._numbers)}", "entityType": "memory", "observations": [text]}


MAKERS: dict[str, Callable[[Path, Path], Candidate]] = {
    "rest": lambda _installed, folder: Rest(folder),
    "mcp": lambda _installed, folder: Mcp(folder),
    "script": lambda installed, folder: Library("script", python_of("script", installed), folder),
    "mem0ai": lambda installed, folder: Library("mem0ai", python_of("mem0ai", installed), folder),
    "mcp-memory-service": lambda installed, folder: McpMemoryService(
        python_of("mcp-memory-service", installed), folder
    ),
    "server-memory": lambda installed, folder: ServerMemory(node_script(installed), folder),
}


def candidates(names: Sequence[str], installed: Path, data: Path) -> Iterator[Candidate]:
    """Yield those that can be measured here, and print why the others cannot."""
    for name in names:
        (data / name).mkdir()
        try:
            yield MAKERS[name](installed, data / name)
        except Missing as reason:
            print(f"{name} is left out: {reason}", flush=True)


def in_batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))


def model_folder() -> str:
    return str(bundled.source_folder())


def bare_environment(home: Path) -> dict[str, str]:
    """Return our environment with another home, without PYTHONPATH, and with what keeps libraries off the network."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | OFFLINE | {"HOME": str(home)}
