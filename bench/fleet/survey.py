"""What the fleet shows: in each minute, and at the end."""

import contextlib
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx

from bench.fleet.callers import LOST, UNAVAILABLE, Tally
from bench.fleet.faults import Fleet
from bench.ledger import Ledger
from bench.sizes import resident_mb
from bench.timing import p50_and_p95
from tests.support.server_process import workers_of

SAMPLE_SECONDS = 2.0
SETTLE_SECONDS = 180.0
SEARCHERS = 8


class Minutes:
    """Prints a line a minute, until the run ends. `largest` has the memory of the largest worker in each, in MB."""

    def __init__(self, fleet: Fleet, tally: Tally) -> None:
        self.largest: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._fleet, self._tally = fleet, tally

    def run(self, minutes: int, until: threading.Event) -> None:
        titles = f"{'answered':>10}{'503':>7}{'lost':>7}{'p50 ms':>9}{'p95 ms':>9}{'wrong':>7}"
        print(f"{'minute':<8}{titles}   MB of each worker", flush=True)
        for minute in range(1, minutes + 1):
            samples = list(self._samples(time.monotonic() + 60, until))
            if until.is_set():
                return
            self.largest.append(max(itertools.chain(*samples), default=0))
            self._print(minute, samples[-1] if samples else [])

    def _samples(self, end: float, until: threading.Event) -> Iterator[list[float]]:
        while time.monotonic() < end and not until.wait(SAMPLE_SECONDS):
            with contextlib.suppress(OSError, IndexError):  # it ended while it was asked
                yield sorted(sum(resident_mb(worker)) for worker in workers_of(self._fleet.server))

    def _print(self, minute: int, memory: list[float]) -> None:
        statuses, milliseconds = self._tally.since_last()
        self.statuses += statuses
        p50, p95 = p50_and_p95(milliseconds)
        answered = statuses.total() - statuses[LOST] - statuses[UNAVAILABLE]
        sizes = ", ".join(f"{size:.0f}" for size in memory)
        print(
            f"{minute:<8}{answered:>10,}{statuses[UNAVAILABLE]:>7,}{statuses[LOST]:>7,}{p50:>9.1f}{p95:>9.1f}"
            f"{len(self._tally.wrong):>7}   {sizes}",
            flush=True,
        )


class Survey:
    """Reads everything at the end, each time through a new connection, which any worker may get."""

    def __init__(self, fleet: Fleet, key: str) -> None:
        self._client = httpx.Client(
            base_url=fleet.url(),
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._wait_for("/health/ready answers 200", lambda: self._client.get("/health/ready").status_code == 200)

    def wait_until_settled(self) -> float:
        """Wait until the index has followed every change, and return for how many seconds."""
        return self._wait_for("the index has followed every change", lambda: self._pending() == 0)

    def broken(self, ledger: Ledger, most_searches: int) -> list[str]:
        """Return a sentence for each memory that is not listed or not found as the ledger says."""
        listed = self._texts()
        sample = random.sample(sorted(listed.items()), min(most_searches, len(listed)))
        with ThreadPoolExecutor(SEARCHERS) as searchers:
            found = searchers.map(lambda item: self._broken_search(ledger, *item), sample)
            return ledger.broken(listed) + [sentence for sentences in found for sentence in sentences]

    def _broken_search(self, ledger: Ledger, memory_id: str, text: str) -> list[str]:
        found = self._ask("POST", "/api/memories/search", {"query": text, "limit": 3})
        broken = [] if found.get(memory_id) == text else [f"{memory_id}, {text!r}, is not found: {found}"]
        return broken + [f"{deleted} is found, but was deleted" for deleted in found.keys() & ledger.deleted.keys()]

    def _wait_for(self, event: str, has_happened: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not has_happened():
            if time.monotonic() - began > SETTLE_SECONDS:
                health = self._client.get("/health").text
                raise SystemExit(
                    f"{SETTLE_SECONDS:.0f} s and not yet: {event}. {self._pending():.0f} pending. {health}"
                )
            time.sleep(1)
        return time.monotonic() - began

    def _pending(self) -> float:
        lines = self._client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("selfmemory_index_pending "))

    def _texts(self) -> dict[str, str]:
        texts, before = dict[str, str](), ""
        while page := self._ask("GET", f"/api/memories?limit=1000{before}"):
            texts.update(page)
            before = f"&before={list(page)[-1]}"
        return texts

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, str]:
        answer = self._client.request(method, path, json=body)
        return {memory["id"]: memory["content"] for memory in answer.raise_for_status().json()["results"]}
