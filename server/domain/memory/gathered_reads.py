"""Gathers reads and lists of memories into few events, because a caller may send a thousand requests a minute, and each
event holds up to 100 ids. No quota limits what the activity takes.
"""

import threading
import time
from collections import Counter

from server.domain.memory.activity import SHOWN_IDS, Noted
from server.models.activity import ActivityKind

MOST_SINGLE = 20
"""How many reads and lists of a person in a project get events of their own in each period."""

PERIOD_SECONDS = 60

_GATHERED = frozenset({ActivityKind.READ, ActivityKind.LIST})
_SAME = ("project_id", "actor_id", "kind", "source_kind", "source_id")


class GatheredReads:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = 0.0
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._events: list[Noted] = []
        self._growing: dict[tuple[str, ...], Noted] = {}

    def take(self, event: Noted) -> bool:
        """Add the event to a gathered one, unless it is to be stored by itself. Return whether it was added."""
        if event["kind"] not in _GATHERED:
            return False
        with self._lock:
            if not self._ends:
                self._ends = time.monotonic() + PERIOD_SECONDS
            person = (event["project_id"], event["actor_id"])
            self._counts[person] += 1
            if self._counts[person] <= MOST_SINGLE:
                return False
            gathered = self._gathered_for(event)
            ids = dict.fromkeys([*gathered["memory_ids"], *event["memory_ids"]])
            gathered["memory_ids"] = [*ids][:SHOWN_IDS]
            gathered["count"] += event["count"]
            return True

    def ended(self, *, all_of_them: bool = False) -> list[Noted]:
        """Return the gathered events at the end of the period, or all so far."""
        with self._lock:
            has_ended = bool(self._ends) and time.monotonic() >= self._ends
            if has_ended:
                self._ends = 0.0
                self._counts.clear()
            if not (has_ended or all_of_them):
                return []
            events, self._events, self._growing = self._events, [], {}
            return events

    def _gathered_for(self, event: Noted) -> Noted:
        """Return the event that this one is added to. A read names one memory, so no id of a read is left out."""
        key = tuple(str(event[name]) for name in _SAME)
        gathered = self._growing.get(key)
        if gathered is None or (event["kind"] == ActivityKind.READ and len(gathered["memory_ids"]) == SHOWN_IDS):
            gathered = self._growing[key] = {**event, "memory_ids": [], "count": 0}
            self._events.append(gathered)
        return gathered
