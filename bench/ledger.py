"""What callers changed on a server, and what the server must therefore show."""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping


class Ledger:
    """Every change that was sent. One without an answer is in doubt: it may have happened or not.

    `kept` and `deleted` (with the time of the answer) are acknowledged. `in_doubt` has, for each memory, the texts that
    it may have; None stands for its deletion. `sent` has the texts of additions without an answer.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kept: dict[str, str] = {}
        self.deleted: dict[str, float] = {}
        self.in_doubt: dict[str, set[str | None]] = {}
        self.sent: set[str] = set()
        self._lock = threading.Lock()
        self._count = 0

    def text(self) -> str:
        """Return a text that no other memory has."""
        with self._lock:
            self._count += 1
            return f"Parcel {self._count:06d}q was left at shelf {self.random.randrange(999)} in the old harbour."

    def text_to_add(self) -> str:
        text = self.text()
        self.sent.add(text)
        return text

    def added(self, memory_id: str, text: str) -> None:
        with self._lock:
            self.sent.discard(text)
            self.kept[memory_id] = text

    def refused(self, text: str) -> None:
        """The addition was answered with an error: the text must not be stored."""
        self.sent.discard(text)

    def sent_change(self, memory_id: str, text: str | None) -> None:
        with self._lock:
            self.in_doubt[memory_id] = {self.kept.pop(memory_id), text}

    def has_now(self, memory_id: str, text: str | None) -> None:
        """The memory's doubt is over: it has this text; None: it is deleted."""
        with self._lock:
            self.in_doubt.pop(memory_id)
            if text is None:
                self.deleted[memory_id] = time.monotonic()
            else:
                self.kept[memory_id] = text

    def to_delete(self) -> str | None:
        """Return the memory that was added last, which is in doubt from now on; None as often."""
        with self._lock:
            if not self.kept or self.random.random() < 0.5:
                return None
            memory_id, text = self.kept.popitem()
            self.in_doubt[memory_id] = {text, None}
            return memory_id

    def broken(self, listed: Mapping[str, str]) -> list[str]:
        """Return a sentence for each promise that the texts of all stored memories break."""
        broken = [f"{memory_id} is lost" for memory_id in self.kept.keys() - listed.keys()]
        broken += [f"{memory_id} came back" for memory_id in self.deleted.keys() & listed.keys()]
        for memory_id in self.kept.keys() & listed.keys():
            expected, text = self.kept[memory_id], listed[memory_id]
            broken += [] if text == expected else [f"{memory_id} has {text!r} instead of {expected!r}"]
        for memory_id, possible in self.in_doubt.items():
            broken += [] if listed.get(memory_id) in possible else [f"{memory_id} has {listed.get(memory_id)!r}"]
        unknown = listed.keys() - self.kept.keys() - self.deleted.keys() - self.in_doubt.keys()
        broken += [f"nobody stored {memory_id}" for memory_id in unknown if listed[memory_id] not in self.sent]
        repeated = [text for text, count in Counter(listed.values()).items() if count > 1]
        return broken + [f"{text!r} is stored more than once" for text in repeated]
