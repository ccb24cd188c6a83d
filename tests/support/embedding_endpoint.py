"""A small OpenAI-compatible server that really embeds, and can be slow, fail or return nonsense."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.fakes import WordEmbedder

KEY = "sk-of-the-endpoint"
MODEL = "words"


class Endpoint(ThreadingHTTPServer):
    """Set `status`, `answer` or `seconds` to change what it does. It counts its requests.

    With `drips`, it sends its "status line" or its "body" byte by byte.
    With `refused`, only a request with this word in a text gets the status, or the word a vector of NaN if that is 200.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = KEY
        self.status = 200
        self.headers: dict[str, str] = {}
        self.answer: bytes | None = None
        self.seconds = 0.0
        self.most_texts = 1000
        self.refused = ""
        self.is_reversed = False
        self.drips = ""
        self.embedder = WordEmbedder()
        self.batches: list[list[str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer_to(self, body: dict[str, object], authorization: str) -> tuple[int, bytes]:
        texts = body["input"]
        assert isinstance(texts, list)
        self.batches.append(texts)
        threading.Event().wait(self.seconds)
        if authorization != f"Bearer {self.key}":
            return 401, json.dumps({"error": {"message": f"Incorrect API key provided: {authorization}"}}).encode()
        if body["model"] != MODEL:
            return 404, b'{"error": {"message": "no such model"}}'
        if len(texts) > self.most_texts:
            return 413, b'{"error": {"message": "batch size exceeds the maximum"}}'
        is_meant = any(self.refused in str(text) for text in texts)
        if is_meant and (self.status != 200 or self.answer is not None):
            return self.status, self.answer or b'{"error": "overloaded"}'
        vectors = self.embedder.embed(texts) * 3
        vectors[[bool(self.refused) and self.refused in str(text) for text in texts]] = float("nan")
        data = [{"object": "embedding", "index": place, "embedding": row.tolist()} for place, row in enumerate(vectors)]
        return 200, json.dumps({"object": "list", "data": data[::-1] if self.is_reversed else data}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.drips == "status line":
            self._drip(b"HTTP/1.1 200 OK")
        found = self.path == "/v1/embeddings"
        status, content = self.server.answer_to(body, self.headers.get("Authorization", "")) if found else (404, b"{}")
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.drips == "body":
            self._drip(content)
        self.wfile.write(content)

    def _drip(self, content: bytes) -> None:
        """Send a byte every 50 ms until the client leaves."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            for byte in content * 100:
                self.wfile.write(bytes([byte]))
                threading.Event().wait(0.05)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@contextmanager
def serving() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.shutdown()
            thread.join()
