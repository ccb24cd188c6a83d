"""A model behind an OpenAI-compatible endpoint (`POST /v1/embeddings`): OpenAI, Ollama, LM Studio, vLLM, TEI.

A request that may succeed later is repeated. After several failures in a row, the endpoint is not used for a while, so
that callers do not wait for it. Messages and the log never quote an answer of the endpoint, because some contain the
key.
"""

import asyncio
import base64
import contextlib
import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import numpy as np

from server.index.model.breaker import Breaker
from server.index.model.failures import ModelAway, TextRefused
from server.index.model.mean import mean_of
from server.index.model.prompts import prompts_of_name
from server.index.types import Vector, Vectors

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 15.0
"""How long the endpoint may take to answer, from the first attempt to the last byte. A limit for each read would let an
endpoint that sends a byte now and then hold a thread for hours.
"""

ATTEMPTS = 3
PAUSE_SECONDS = 0.2
"""The pause before the second attempt. It doubles each time, and varies at random by up to half, so that callers do not
synchronize.
"""

LONGEST_RETRY_AFTER_SECONDS = 2.0
ANSWER_BYTES = 64_000_000
MAX_DIMENSIONS = 8192
PROBE = "How many numbers has a vector of this model?"

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TOO_MUCH = frozenset({400, 413, 422})
"""The statuses with which servers refuse more texts than they accept at a time."""


class EndpointModel:
    """Embeds up to 32 texts per request, the default limit of Text Embeddings Inference."""

    threads = 4
    batch_size = 32

    def __init__(self, url: str, model: str, key: str) -> None:
        """Embed a few texts to learn the vectors' length and mean. Raises ModelAway."""
        self._url = embeddings_url(url)
        self._model = model
        headers = {"Accept-Encoding": "identity"}  # a small compressed answer could fill the memory
        if key:
            headers["Authorization"] = f"Bearer {key}"
        limits = httpx.Limits(max_connections=self.threads)
        timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits, follow_redirects=False)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, name="embedding-endpoint", daemon=True).start()
        self._breaker = Breaker()
        self._is_away = False
        self.prompts = prompts_of_name(model)
        self.dimensions = 0
        with contextlib.ExitStack() as opened:
            opened.callback(self.close)
            self.dimensions = len(self.encode([PROBE])[0])
            self.mean = self._mean()
            opened.pop_all()
        self.name = f"{model}/endpoint-{self.dimensions}"

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Return vectors of unit length, shape (len(texts), dimensions). Raises ModelAway, which is TextRefused if the
        endpoint embeds other texts.
        """
        try:
            vectors = self._encode(texts)
        except TextRefused:
            raise
        except ModelAway as error:
            self._note(is_away=True, sentence=f"{error} Until it works again, memories are found by their words.")
            raise
        self._note(is_away=False, sentence="the embedding endpoint works again")
        return vectors

    def _note(self, *, is_away: bool, sentence: str) -> None:
        """Log that the endpoint failed or works again, unless the last line said so. The caller of `__init__` reports
        its failures itself.
        """
        if is_away != self._is_away and self.dimensions:
            log.log(logging.WARNING if is_away else logging.INFO, sentence)
            self._is_away = is_away

    def _encode(self, texts: Sequence[str]) -> Vectors:
        answer = self._ask_again_and_again(texts)
        if answer.status_code in _TOO_MUCH and len(texts) > 1:
            middle = len(texts) // 2
            return np.concatenate([self._encode(texts[:middle]), self._encode(texts[middle:])])
        _require_success(answer.status_code, self._model)
        return _vectors(answer, len(texts), self.dimensions)

    def can_read(self, _text: str, /) -> bool:
        """Return True, because only the model itself knows."""
        return True

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._http.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _mean(self) -> Vector:
        try:
            return mean_of(self)
        except TextRefused:  # of the samples; it may still embed other texts
            return np.zeros(self.dimensions, np.float32)

    def _ask_again_and_again(self, texts: Sequence[str]) -> httpx.Response:
        """Return an answer that is not a temporary failure. Raises ModelAway."""
        answer = None
        until = time.monotonic() + ANSWER_SECONDS
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(_pause(answer, attempt))
            with self._breaker.attempt() as tried:
                answer = self._ask(texts, until)
                tried.succeeded = answer is not None and answer.status_code not in _TRANSIENT
            if answer is not None and tried.succeeded:
                return answer
            if time.monotonic() >= until:
                break
        if answer is None:
            raise ModelAway("The embedding endpoint does not answer.")
        # Ollama answers 500 for a text whose vector is NaN, and llama.cpp for a text that is too long.
        failure = TextRefused if answer.status_code == 500 and self._works() else ModelAway
        raise failure(f"The embedding endpoint answers with status {answer.status_code}.")

    def _works(self) -> bool:
        """Return whether the endpoint embeds another text. If it does, callers do not have to wait."""
        answer = self._ask([PROBE], time.monotonic() + ANSWER_SECONDS)
        if answer is None or answer.status_code != 200:
            return False
        self._breaker.reset()
        return True

    def _ask(self, texts: Sequence[str], until: float) -> httpx.Response | None:
        """Return the answer with its body, or None if no answer came before the monotonic time `until`."""
        asking = self._answer(texts, until - time.monotonic())
        return asyncio.run_coroutine_threadsafe(asking, self._loop).result()

    async def _answer(self, texts: Sequence[str], seconds: float) -> httpx.Response | None:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            async with asyncio.timeout(seconds), self._http.stream("POST", self._url, json=body) as answer:
                content = bytearray()
                async for chunk in answer.aiter_raw():
                    content += chunk
                    if len(content) > ANSWER_BYTES:
                        raise ModelAway("The embedding endpoint sends an answer of more than 64 MB.")
                return httpx.Response(
                    answer.status_code,
                    headers={"Retry-After": answer.headers.get("retry-after", "")},
                    content=bytes(content),
                )
        except (TimeoutError, httpx.TransportError, httpx.StreamError):
            return None


def embeddings_url(url: str) -> str:
    """Return the URL to post to: `/v1/embeddings` on a bare host, or `/embeddings` below any other path."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith("/embeddings"):
        path = f"{path or '/v1'}/embeddings"
    return urlunsplit(parts._replace(path=path))


def _pause(answer: httpx.Response | None, attempt: int) -> float:
    """Return how many seconds to wait before this attempt, given the answer to the previous one."""
    pause = PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    asked = "" if answer is None else answer.headers.get("retry-after", "")
    return min(float(asked), LONGEST_RETRY_AFTER_SECONDS) if asked.isdecimal() else pause


def _require_success(status: int, model: str) -> None:
    if status in (401, 403):
        raise ModelAway("The embedding endpoint refuses the key: check SELFMEMORY_EMBEDDING_KEY.")
    if status == 404:
        raise ModelAway(
            f"The embedding endpoint does not know {model!r}: check SELFMEMORY_EMBEDDING_MODEL and "
            "SELFMEMORY_EMBEDDING_URL."
        )
    if status != 200:
        failure = TextRefused if status in _TOO_MUCH else ModelAway
        raise failure(f"The embedding endpoint answers with status {status}: check SELFMEMORY_EMBEDDING_URL.")


def _vectors(answer: httpx.Response, count: int, dimensions: int) -> Vectors:
    """Return the vectors in the order of the texts. Raises ModelAway if it has no valid vectors.

    `dimensions` is 0 while their length is unknown.
    """
    try:
        data = sorted(answer.json()["data"], key=lambda entry: int(entry.get("index") or 0))  # some leave out a 0
        vectors = np.array([_numbers(entry["embedding"]) for entry in data], dtype=np.float64)
        if vectors.ndim != 2 and data:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise ModelAway("The embedding endpoint does not answer with vectors.") from None
    if len(vectors) != count:
        raise ModelAway(f"The embedding endpoint answers with {len(vectors)} vectors for {count} texts.")
    length = vectors.shape[1]
    if length != (dimensions or length) or not 0 < length <= MAX_DIMENSIONS:
        raise ModelAway(
            f"The embedding endpoint answers with vectors of {length} numbers, not {dimensions}: restart the server if "
            "the model has changed."
        )
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise TextRefused("The embedding endpoint answers with vectors that have no direction: NaN, infinite or 0.")
    return np.asarray(vectors / norms, np.float32)


def _numbers(embedding: Any) -> Any:
    """Return a vector. Some servers encode it although we ask for numbers, and some put it into a list of its own."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
    return embedding[0] if len(embedding) == 1 and isinstance(embedding[0], list) else embedding
