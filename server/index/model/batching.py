"""Embeds the texts of many threads through one model: a fair queue that a few threads work off.

Questions go before imports. Requests of one kind take turns, text by text, and a new one gets its first turn at once.
The lock is not held while the model runs. If it is idle, one text runs on the caller's thread, which is a tenth faster.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

import numpy as np

from server.index.model.failures import EmbedderClosed, QuestionUnreadable, VectorsRefused, failure_of
from server.index.model.protocol import Model
from server.index.types import Vector, Vectors

Batch: TypeAlias = dict[str, Future[Vector]]
Queue: TypeAlias = deque[deque[str]]
"""Requests in the order of their turns, each with the texts that have not run yet."""

MAX_URGENT_TURNS = 8
"""After this many urgent turns in a row, another request gets one, so that questions cannot stop all writing."""

MAX_NEWCOMER_TURNS = 8
"""After this many first turns in a row, an older request gets one, so that short requests cannot stop a long one."""

CROWDED_SECONDS = 5.0
"""For how long the model is treated as shared after two callers have used it."""


class BatchingEmbedder:
    """An `Embedder` that embeds with a `Model`."""

    def __init__(self, model: Model, *, is_local: bool = True) -> None:
        self._model = model
        self._is_local = is_local
        self._changed = threading.Condition()
        self._urgent: Queue = deque()
        self._others: Queue = deque()
        self._newcomers = 0  # the first requests of `_others`, which had no turn yet
        self._newcomer_turns = 0
        self._urgent_turns = 0
        self._last_caller = ""
        self._last_use = self._crowded_until = -CROWDED_SECONDS
        self._busy_threads = 0
        self._waiting: Batch = {}
        self._running: Batch = {}
        self._closed = False
        numbers = range(model.threads)
        self._threads = [threading.Thread(target=self._work, name=f"embedding-{n}", daemon=True) for n in numbers]
        for thread in self._threads:
            thread.start()

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    @property
    def mean(self) -> Vector:
        return self._model.mean

    @property
    def waiting(self) -> tuple[int, int]:
        with self._changed:
            questions = sum(map(len, self._urgent))
            return max(len(self._waiting) - questions, 0), questions

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        texts = self._prompted(texts, is_question)
        with self._changed:
            new = dict.fromkeys(texts)
            if len(new) == 1 and self._runs_here(*new):
                futures = batch = self._start({text: Future() for text in new})
            else:
                futures, batch = self._enqueue(new, is_question), {}
                self._changed.notify(len(self._waiting))
        self._run(batch)
        return self._join(texts, futures)

    def submit(self, texts: Sequence[str], /, *, is_question: bool = False) -> Future[Vectors]:
        texts = self._prompted(texts, is_question)
        with self._changed:
            futures = self._enqueue(dict.fromkeys(texts), is_question)
            self._changed.notify(len(self._waiting))
        return _when_all_are_done(futures, lambda: self._join(texts, futures))

    def is_idle(self) -> bool:
        """Return whether a text would run at once, on this machine. Another thread may get there first."""
        only_later_turns = self._is_crowded() and not self._urgent and not self._newcomers
        return self._is_local and (not self._waiting or only_later_turns) and self._is_free()

    def expect(self, caller: str) -> None:
        """Announce that the caller is going to use the model. If several callers do, one thread is reserved for
        questions and first turns.

        A caller with much to embed would otherwise keep all threads busy, and a text takes up to 50 ms.
        """
        moment = time.monotonic()
        with self._changed:
            if caller != self._last_caller and moment - self._last_use < CROWDED_SECONDS:
                self._crowded_until = moment + CROWDED_SECONDS
            self._last_caller, self._last_use = caller, moment

    def close(self) -> None:
        """Finish the running texts, then release the model."""
        with self._changed:
            self._closed = True
            for future in self._waiting.values():
                future.set_exception(EmbedderClosed())
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._model.close()

    def _prompted(self, texts: Sequence[str], is_question: bool) -> Sequence[str]:
        prompt = self._model.prompts.before(is_question=is_question)
        if is_question and not all(map(self._model.can_read, texts)):
            raise QuestionUnreadable
        return [prompt + text for text in texts]

    def _join(self, texts: Sequence[str], futures: Batch) -> Vectors:
        """Wait for the futures and return the vectors of all texts. Raises the errors of `embed`."""
        vectors = {text: future.result() for text, future in futures.items()}
        return np.array([vectors[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)

    def _enqueue(self, texts: Iterable[str], is_question: bool) -> Batch:
        """Queue the texts that are not queued or running. An urgent text among the waiting others is queued again."""
        if self._closed:
            raise EmbedderClosed
        futures = {text: self._running.get(text) or self._waiting.get(text) or Future() for text in texts}
        new = deque(
            text for text in futures if text not in self._running and (is_question or text not in self._waiting)
        )
        if new:
            self._waiting |= {text: futures[text] for text in new}
            if is_question:
                self._urgent.append(new)
            else:
                self._others.insert(self._newcomers, new)
                self._newcomers += 1
        return futures

    def _runs_here(self, text: str) -> bool:
        is_new = text not in self._waiting and text not in self._running
        return is_new and not self._closed and self.is_idle()

    def _work(self) -> None:
        while not self._closed:
            self._run(self._wait_for_batch())

    def _wait_for_batch(self) -> Batch:
        """Wait for texts and return the next batch. It is empty if the embedder is closed, or if the first text in a
        queue has been embedded already.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._waiting and self._may_start()))
            return self._next_batch()

    def _may_start(self) -> bool:
        return self._is_free() and bool(self._urgent or self._newcomers or not self._is_last_kept())

    def _is_free(self) -> bool:
        return self._busy_threads < len(self._threads)

    def _is_last_kept(self) -> bool:
        """Return whether the only free thread is reserved for questions and first turns."""
        return self._is_crowded() and self._busy_threads == len(self._threads) - 1 > 0

    def _is_crowded(self) -> bool:
        return time.monotonic() < self._crowded_until

    def _run(self, batch: Batch) -> None:
        if not batch:
            return
        try:
            vectors = _checked(self._model.encode(list(batch)), (len(batch), self.dimensions))
        except BaseException as error:  # noqa: BLE001 - also a panic of a library; the threads that wait raise it
            self._finish(batch)
            for future in batch.values():
                future.set_exception(failure_of(error))
        else:
            self._finish(batch)
            for future, vector in zip(batch.values(), vectors, strict=True):
                future.set_result(vector)

    def _finish(self, batch: Batch) -> None:
        with self._changed:
            self._busy_threads -= 1
            for text in batch:
                del self._running[text]
            if self._waiting:  # waking a thread without need takes CPU time from others
                self._changed.notify()

    def _next_batch(self) -> Batch:
        """Take the next texts from the queues. Call it with the lock held."""
        queue = self._next_queue()
        batch: Batch = {}
        while queue and len(batch) < self._model.batch_size:
            text = self._next_text(queue)
            if text in self._waiting:  # false if the text was in both queues and has run already
                batch[text] = self._waiting.pop(text)
            if not queue and not batch:
                queue = self._next_queue()
        return self._start(batch)

    def _start(self, batch: Batch) -> Batch:
        self._running |= batch
        self._busy_threads += bool(batch)
        return batch

    def _next_text(self, queue: Queue) -> str:
        """Take one text of the request whose turn it is, and move that request to the end of the queue.

        A request that had no turn yet comes before those that had, so a short one does not wait for many long ones.
        """
        position = 0
        if queue is self._others:
            is_others_turn = self._newcomer_turns >= MAX_NEWCOMER_TURNS and self._newcomers < len(queue)
            is_newcomer = self._newcomers > 0 and (not is_others_turn or self._is_last_kept())
            position = 0 if is_newcomer else self._newcomers
            self._newcomers -= is_newcomer
            self._newcomer_turns = self._newcomer_turns + 1 if is_newcomer else 0
        request = queue[position]
        del queue[position]
        text = request.popleft()
        if request:
            queue.append(request)
        return text

    def _next_queue(self) -> Queue:
        if self._is_last_kept() and not self._newcomers:
            return self._urgent
        others = self._others and (not self._urgent or self._urgent_turns >= MAX_URGENT_TURNS)
        self._urgent_turns = 0 if others else self._urgent_turns + 1
        return self._others if others else self._urgent


def _checked(vectors: Vectors, shape: tuple[int, int]) -> Vectors:
    """Raises VectorsRefused."""
    lengths = np.linalg.norm(vectors, axis=-1)
    if vectors.shape != shape or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise VectorsRefused
    return vectors


def _when_all_are_done(futures: Batch, join: Callable[[], Vectors]) -> Future[Vectors]:
    """Return a future for the result of `join`, which the thread that finishes the last text calls."""
    result: Future[Vectors] = Future()
    result.set_running_or_notify_cancel()  # nobody can cancel it, so setting its result cannot fail
    left = itertools.count(len(futures) - 1, -1)  # `next` is atomic

    def one_is_done(_future: Future[Vector] | None = None) -> None:
        if next(left) > 0:
            return
        try:
            result.set_result(join())
        except Exception as error:  # noqa: BLE001 - the caller that waits for the future raises it
            result.set_exception(error)

    for future in futures.values():
        future.add_done_callback(one_is_done)
    if not futures:
        one_is_done()
    return result
