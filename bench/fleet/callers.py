"""Callers that add, change, delete, search and read, and compare every answer with what they know."""

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from bench.ledger import Ledger

MOST_MEMORIES = 20
"""A caller that has stored this many deletes one before it adds another."""

DOUBT_SECONDS = 10.0
"""What was sent may still happen for a while after its connection broke."""

PAUSE_SECONDS = 0.2
ANSWER_SECONDS = 60.0
LOST = 0
UNAVAILABLE = 503
Answer = tuple[int, Any]


class Tally:
    """What all callers saw. `statuses` has LOST for a connection that ended without an answer."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.milliseconds: list[float] = []
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def saw(self, status: int, milliseconds: float) -> None:
        with self._lock:
            self.statuses[status] += 1
            self.milliseconds.append(milliseconds)

    def since_last(self) -> tuple[Counter[int], list[float]]:
        """Return what came since the last call."""
        with self._lock:
            seen = self.statuses, self.milliseconds
            self.statuses, self.milliseconds = Counter(), []
            return seen


class Connection:
    """Asks the server that `url` returns now. A broken connection is the answer LOST, and the next one is new."""

    def __init__(self, url: Callable[[], str], key: str, tally: Tally) -> None:
        self._url, self._tally = url, tally
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        began = time.monotonic()
        try:
            answer = self._ask(method, path, body, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            answer = LOST, None
        self._tally.saw(answer[0], (time.monotonic() - began) * 1000)
        if answer[0] in (LOST, UNAVAILABLE):
            time.sleep(PAUSE_SECONDS)
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self._url()).netloc, timeout=ANSWER_SECONDS)
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, self._headers | headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


class FleetCaller:
    """One caller. It changes only its own memories, so it knows what each answer must be."""

    def __init__(self, number: int, connection: Connection, ledger: Ledger, tally: Tally) -> None:
        self._connection, self._ledger, self._tally = connection, ledger, tally
        self._random = random.Random(number)
        self._keys = (f"{number}-{count}" for count in itertools.count())
        self._mine: list[str] = []
        self._unanswered: list[tuple[str, str]] = []
        self._doubtful: list[tuple[float, str]] = []

    def work(self, until: threading.Event) -> None:
        actions = (self._add, self._change, self._delete, self._search, self._read)
        while not until.is_set():
            self._settle()
            (action,) = self._random.choices(actions, weights=(6, 3, 2, 6, 3))
            action()
        self._connection.close()

    def _add(self) -> None:
        if len(self._mine) >= MOST_MEMORIES:
            self._delete()
        if self._unanswered and self._random.random() < 0.5:  # the others stay in doubt to the end
            self._send(*self._unanswered.pop())
        else:
            self._send(self._ledger.text_to_add(), next(self._keys))

    def _send(self, text: str, key: str) -> None:
        status, answer = self._connection.ask("POST", "/api/memories", {"content": text}, **{"Idempotency-Key": key})
        if status == 200:
            self._ledger.added(answer["memory_id"], text)
            self._mine.append(answer["memory_id"])
        elif status in (LOST, UNAVAILABLE):
            self._unanswered.append((text, key))
        else:
            self._ledger.refused(text)
            self._report(f"an addition was answered {status}: {answer}")

    def _change(self) -> None:
        if memory_id := self._pick():
            text = self._ledger.text()
            self._alter(memory_id, text, "PUT", f"/api/memories/{memory_id}", {"content": text})

    def _delete(self) -> None:
        if memory_id := self._pick():
            permanent = self._random.choice(("true", "false"))
            self._alter(memory_id, None, "DELETE", f"/api/memories/{memory_id}?permanent={permanent}")

    def _alter(self, memory_id: str, text: str | None, method: str, path: str, body: object = None) -> None:
        self._ledger.sent_change(memory_id, text)
        self._mine.remove(memory_id)
        status, answer = self._connection.ask(method, path, body)
        if status == 200:
            self._has_now(memory_id, text)
        else:
            self._doubtful.append((time.monotonic() + DOUBT_SECONDS, memory_id))
            if status not in (LOST, UNAVAILABLE):
                self._report(f"{method} of {memory_id} was answered {status}: {answer}")

    def _settle(self) -> None:
        """Look at the memory whose change was not answered."""
        if not self._doubtful or self._doubtful[0][0] > time.monotonic():
            return
        _, memory_id = self._doubtful.pop(0)
        status, answer = self._connection.ask("GET", f"/api/memories/{memory_id}")
        if status not in (200, 404):
            self._doubtful.append((time.monotonic(), memory_id))
            return
        text = answer["content"] if status == 200 else None
        if text not in self._ledger.in_doubt[memory_id]:
            self._report(f"{memory_id} has {text!r} after a change without an answer")
        self._has_now(memory_id, text)

    def _has_now(self, memory_id: str, text: str | None) -> None:
        self._ledger.has_now(memory_id, text)
        if text is not None:
            self._mine.append(memory_id)

    def _search(self) -> None:
        if memory_id := self._pick():
            text, began = self._ledger.kept[memory_id], time.monotonic()
            status, answer = self._connection.ask("POST", "/api/memories/search", {"query": text, "limit": 3})
            if status == 200:
                found = {result["id"]: result["content"] for result in answer["results"]}
                if found.get(memory_id) != text:
                    self._report(f"a search for {text!r} finds {found}")
                self._report_deleted(found.keys(), began)
            else:
                self._require_refusal("a search", status, answer)

    def _report_deleted(self, found: Any, began: float) -> None:
        for memory_id in found:
            if self._ledger.deleted.get(memory_id, began) < began:
                self._report(f"a search finds {memory_id}, which was deleted")

    def _read(self) -> None:
        memory_id = self._pick()
        if memory_id and self._random.random() < 0.8:
            self._require(memory_id, 200, self._ledger.kept[memory_id])
        elif self._ledger.deleted:
            self._require(next(reversed(self._ledger.deleted)), 404, None)

    def _require(self, memory_id: str, wanted: int, text: str | None) -> None:
        status, answer = self._connection.ask("GET", f"/api/memories/{memory_id}")
        if status == 200 and (wanted != 200 or answer["content"] != text):
            self._report(f"{memory_id} is {answer['content']!r} instead of {text!r}")
        elif status not in (200, wanted):
            self._require_refusal(f"reading {memory_id}", status, answer)

    def _require_refusal(self, what: str, status: int, answer: object) -> None:
        if status not in (LOST, UNAVAILABLE):
            self._report(f"{what} was answered {status}: {answer}")

    def _pick(self) -> str | None:
        return self._random.choice(self._mine) if self._mine else None

    def _report(self, sentence: str) -> None:
        self._tally.wrong.append(sentence)
        print(f"WRONG: {sentence}", flush=True)
