"""Where the requests of many threads meet before the model: a fair queue, drained by a few threads.

A question goes before an import and waits at most for the texts in work; requests of one kind take turns, text by
text; a text that several wait for is computed once; nothing is locked while the model runs. A single text that finds
the model idle is run by the thread that brings it, which saves a tenth of the time of a question.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
Vectors: TypeAlias = NDArray[np.float32]
Batch: TypeAlias = dict[str, Future[Vector]]
Line: TypeAlias = deque[deque[str]]
"""Requests in turn, each with the texts it has still to hand in."""

CACHED_QUESTIONS = 1024

MAX_URGENT_TURNS = 8
"""After so many urgent turns in a row one goes to the others: a flood of questions must not stop all writing."""


class EmbedderClosed(RuntimeError):
    """The server is stopping: nothing more is embedded."""


class ModelFailed(RuntimeError):
    """The model did not embed these texts; the cause is its own, of whatever kind."""


class Model(Protocol):
    """What can be run: up to `threads` threads at once may each hand over up to `batch_size` texts."""

    name: str
    dimensions: int
    threads: int
    batch_size: int

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Vectors of unit length, shape (len(texts), dimensions)."""


class BatchingEmbedder:
    """An Embedder over a Model."""

    def __init__(self, model: Model) -> None:
        self.name = model.name
        self.dimensions = model.dimensions
        self._model = model
        self._changed = threading.Condition()
        self._urgent: Line = deque()
        self._others: Line = deque()
        self._urgent_turns = 0
        self._running = 0
        self._waiting: Batch = {}
        self._in_work: Batch = {}
        self._remembered: OrderedDict[str, Vector] = OrderedDict()
        self._closed = False
        names = [f"embedding-{number}" for number in range(model.threads)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def embed(self, texts: Sequence[str], /, *, urgent: bool = False) -> Vectors:
        """Shape (len(texts), dimensions). Raises EmbedderClosed, ModelFailed."""
        with self._changed:
            known = {text: self._remembered[text] for text in texts if text in self._remembered}
            asked = self._ask(dict.fromkeys(text for text in texts if text not in known), urgent)
            run_here = len(asked) == len(self._waiting) == 1 and self._is_free()
            batch = self._next_batch() if run_here else {}
            self._changed.notify(len(self._waiting))
        self._run(batch)
        known |= {text: future.result() for text, future in asked.items()}
        if urgent:
            self._remember(known)
        return np.array([known[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)

    def close(self) -> None:
        """Finish what is in work; whoever still waits is told EmbedderClosed."""
        with self._changed:
            self._closed = True
            for future in self._waiting.values():
                future.set_exception(EmbedderClosed("The server is stopping."))
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _ask(self, texts: Iterable[str], urgent: bool) -> Batch:
        """Line up what nobody computes yet; an urgent text that waits among the others lines up again, in front."""
        if self._closed:
            raise EmbedderClosed("The server is stopping.")
        asked = {text: self._in_work.get(text) or self._waiting.get(text) or Future() for text in texts}
        new = deque(text for text in asked if text not in self._in_work and (urgent or text not in self._waiting))
        if new:
            self._waiting |= {text: asked[text] for text in new}
            (self._urgent if urgent else self._others).append(new)
        return asked

    def _remember(self, known: Mapping[str, Vector]) -> None:
        with self._changed:
            for text, vector in known.items():
                self._remembered[text] = vector
                self._remembered.move_to_end(text)
            while len(self._remembered) > CACHED_QUESTIONS:
                self._remembered.popitem(last=False)

    def _work(self) -> None:
        while batch := self._wait_for_batch():
            self._run(batch)

    def _wait_for_batch(self) -> Batch:
        """Empty when the collector is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._waiting and self._is_free()))
            return self._next_batch()

    def _is_free(self) -> bool:
        return self._running < len(self._threads)

    def _run(self, batch: Batch) -> None:
        if not batch:
            return
        try:
            vectors = self._model.encode(list(batch))
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the threads that wait for it
            self._finish(batch)
            failed = ModelFailed(type(error).__name__)
            failed.__cause__ = error
            for future in batch.values():
                future.set_exception(failed)
        else:
            self._finish(batch)
            for future, vector in zip(batch.values(), vectors, strict=True):
                future.set_result(vector)

    def _finish(self, batch: Batch) -> None:
        with self._changed:
            self._running -= 1
            for text in batch:
                del self._in_work[text]
            self._changed.notify()

    def _next_batch(self) -> Batch:
        """Take from the lines what is run next; to be called under the lock."""
        line = self._next_line()
        batch: Batch = {}
        while line and len(batch) < self._model.batch_size:
            text = _next_text(line)
            if text in self._waiting:  # not when the text stood in both lines and the other's turn came first
                batch[text] = self._waiting.pop(text)
            if not line and not batch:
                line = self._next_line()
        self._in_work |= batch
        self._running += bool(batch)
        return batch

    def _next_line(self) -> Line:
        others = self._others and (not self._urgent or self._urgent_turns >= MAX_URGENT_TURNS)
        self._urgent_turns = 0 if others else self._urgent_turns + 1
        return self._others if others else self._urgent


def _next_text(line: Line) -> str:
    """Take one text of the request whose turn it is, and send the request to the end of the line."""
    request = line.popleft()
    text = request.popleft()
    if request:
        line.append(request)
    return text
