"""Kills a busy server repeatedly, and checks that no acknowledged change is lost. Exits with 1 if one is lost.

python -m bench.soak [--rounds 10] [--seed 1]

Every other kill happens while Chroma saves its files. After each restart, every acknowledged memory must be listed, a
sample must be found by its text, and no deleted memory may be left.
"""

import argparse
import http.client
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.ledger import Ledger
from bench.server import Caller, Server, environment_of, launched

BATCH = 120
SAMPLE = 60
MAX_ROUND_SECONDS = 25.0
"""How long to wait for Chroma to save."""


def add_one(caller: Caller, ledger: Ledger) -> None:
    text = ledger.text_to_add()
    ledger.added(caller.post("/api/memories", {"content": text})["memory_id"], text)
    if memory_id := ledger.to_delete():
        caller.delete(f"/api/memories/{memory_id}")
        ledger.has_now(memory_id, None)


def add_many(caller: Caller, ledger: Ledger) -> None:
    texts = [ledger.text_to_add() for _ in range(BATCH)]
    results = caller.post("/api/memories/batch", {"memories": [{"content": text} for text in texts]})["results"]
    for text, result in zip(texts, results, strict=True):
        ledger.added(result["memory_id"], text)


def repeat(work: Callable[[Caller, Ledger], None], caller: Caller, ledger: Ledger) -> None:
    """Call `work` until the server has died."""
    try:
        while True:
            work(caller, ledger)
    except (OSError, http.client.HTTPException):
        return


def work_until_killed(server: Server, key: str, ledger: Ledger, seconds: float | None) -> str:
    """Kill the server after `seconds`, or (None) when Chroma saves. Return a sentence that says when."""
    writers = (add_many, add_one, add_one)
    with ThreadPoolExecutor(len(writers)) as threads:
        writing = [threads.submit(repeat, work, server.caller(key), ledger) for work in writers]
        began = time.monotonic()
        before = saved_at(server.folder)
        moment = "at work"
        while time.monotonic() - began < (MAX_ROUND_SECONDS if seconds is None else seconds):
            if seconds is None and saved_at(server.folder) != before:
                moment = "while it saved its index"
                break
            time.sleep(0.001)
        server.process.kill()
    for ended in writing:
        ended.result()  # an answer that is no 200 ends the run
    return f"killed {moment} after {time.monotonic() - began:.1f} s"


def saved_at(folder: Path) -> dict[Path, int]:
    """Return when each file of the vector index was last written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("chroma/*/*/*.bin")}


def losses(caller: Caller, ledger: Ledger) -> list[str]:
    """Return a sentence for each broken promise."""
    broken = ledger.broken(texts_of(caller))
    for memory_id in ledger.random.sample(sorted(ledger.kept), min(SAMPLE, len(ledger.kept))):
        found = caller.post("/api/memories/search", {"query": ledger.kept[memory_id], "limit": 3})["results"]
        broken += [] if memory_id in {result["id"] for result in found} else [f"{memory_id} is not found"]
    return broken


def texts_of(caller: Caller) -> dict[str, str]:
    """Return the texts of all memories, by id."""
    texts, before = dict[str, str](), ""
    while page := caller.get(f"/api/memories?limit=1000{before}")["results"]:
        texts.update({memory["id"]: memory["content"] for memory in page})
        before = f"&before={page[-1]['id']}"
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ledger, key = Ledger(options.seed), ""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        environment = environment_of(folder, EXACT_SCAN_LIMIT="100")
        for number in range(options.rounds + 1):
            began = time.monotonic()
            with launched(environment) as server:
                ready = time.monotonic() - began
                key = key or server.key("Soak")
                broken = losses(server.caller(key), ledger)
                counts = f"{len(ledger.kept):,} kept, {len(ledger.deleted):,} deleted, {len(broken)} broken promises"
                print(f"round {number}: ready after {ready:.1f} s, {counts}", flush=True)
                if broken:
                    sys.exit("\n".join(broken[:20]))
                if number < options.rounds:
                    seconds = ledger.random.uniform(1, 6) if number % 2 else None
                    print(f"         {work_until_killed(server, key, ledger, seconds)}", flush=True)


if __name__ == "__main__":
    main()
