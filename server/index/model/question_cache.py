"""The vectors of the last questions. Each project has its own, so that tenants cannot learn each other's questions."""

import threading
from collections import OrderedDict

from server.index.types import Vector

MAX_QUESTIONS = 1024
MAX_CHARACTERS = 1000
"""Longer questions are not cached, because they are rarely repeated and callers choose their size."""


class QuestionCache:
    """Keeps the `MAX_QUESTIONS` newest vectors by project and question. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vectors: OrderedDict[tuple[str, str], Vector] = OrderedDict()

    def get(self, project_id: str, question: str) -> Vector | None:
        with self._lock:
            return self._vectors.get((project_id, question))

    def put(self, project_id: str, question: str, vector: Vector) -> None:
        if len(question) > MAX_CHARACTERS:
            return
        with self._lock:
            self._vectors[project_id, question] = vector
            self._vectors.move_to_end((project_id, question))
            if len(self._vectors) > MAX_QUESTIONS:
                self._vectors.popitem(last=False)
