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

STORED_SECONDS = 5
"""How often a growing event is stored. Until then, other workers do not show the rest, and a crash loses it."""

_GATHERED = frozenset({ActivityKind.READ, ActivityKind.LIST})
_SAME = ("project_id", "actor_id", "kind", "source_kind", "source_id")


class GatheredReads:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = 0.0
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._growing: dict[tuple[str, ...], Noted] = {}
        self._grown: dict[str, Noted] = {}
        self._stored_next = 0.0

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
            self._grown[gathered["id"]] = gathered
            return True

    def grown(self, *, at_once: bool = False) -> list[Noted]:
        """Return the events that grew since the last call, as they are now: every `STORED_SECONDS`, or `at_once`."""
        with self._lock:
            moment = time.monotonic()
            if self._ends and moment >= self._ends:
                self._ends = 0.0
                self._counts.clear()
                self._growing.clear()
            if not at_once and moment < self._stored_next:
                return []
            self._stored_next = moment + STORED_SECONDS
            events, self._grown = [{**event} for event in self._grown.values()], {}
            return events

    def _gathered_for(self, event: Noted) -> Noted:
        """Return the event that this one is added to. A read names one memory, so no id of a read is left out."""
        key = tuple(str(event[name]) for name in _SAME)
        gathered = self._growing.get(key)
        if gathered is None or (event["kind"] == ActivityKind.READ and len(gathered["memory_ids"]) == SHOWN_IDS):
            gathered = self._growing[key] = {**event, "memory_ids": [], "count": 0}
        return gathered
