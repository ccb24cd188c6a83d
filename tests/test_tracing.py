"""Traces: each request has a span with its outcome, and no content or secret."""

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.__main__ import main
from server.app import create_app
from server.settings import Settings
from tests.conftest import ORIGIN, Tenant
from tests.support.fakes import WordEmbedder
from tests.support.started import running

pytestmark = pytest.mark.needs("telemetry")
SECRET = "a-text-that-nobody-else-may-read"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Receiver(ThreadingHTTPServer):
    """Takes traces over HTTP, as a collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        self.serving = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.serving.start()

    def stop(self) -> None:
        self.shutdown()
        self.serving.join()
        self.server_close()

    def spans(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415 - an extra

        requests = [trace_service_pb2.ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [scope for request in requests for part in request.resource_spans for scope in part.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.paths.add(self.path)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
    yield receiver
    receiver.stop()


def attributes(span: Any) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


Ask = Callable[[httpx.AsyncClient], Any]


async def traced(settings: Settings, ask: Ask) -> Any:
    """Return what `ask` returns from an app with traces. All spans have arrived by then."""
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await ask(client)


async def test_a_request_is_a_span_with_its_route_status_and_id(
    receiver: Receiver, settings: Settings, alice: Tenant
) -> None:
    answer: httpx.Response = await traced(settings, lambda client: client.get("/api/memories", headers=alice.auth))
    (span,) = [span for span in receiver.spans() if not span.parent_span_id]
    assert receiver.paths == {"/v1/traces"}
    assert span.name == "GET /api/memories"
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "/api/memories",
        "http.response.status_code": 200,
        "selfmemory.request_id": answer.headers["X-Request-ID"],
    }


async def test_transactions_and_the_model_are_spans_of_the_request(
    receiver: Receiver, settings: Settings, alice: Tenant
) -> None:
    body = {"messages": [{"role": "user", "content": SECRET}]}
    await traced(settings, lambda client: client.post("/api/memories", json=body, headers=alice.auth))
    spans = receiver.spans()
    (request,) = [span for span in spans if not span.parent_span_id]
    children = [span for span in spans if span.parent_span_id]
    assert {span.name for span in children} == {"transaction", "model"}
    assert {span.trace_id for span in children} == {request.trace_id}
    assert all(request.start_time_unix_nano <= span.start_time_unix_nano for span in children)


async def test_no_span_has_a_text_a_query_a_token_or_an_address(
    receiver: Receiver, settings: Settings, alice: Tenant
) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        await client.post("/api/memories/search", json={"query": SECRET}, headers=alice.auth)
        await client.post("/api/memories", json={"messages": [{"role": "user", "content": SECRET}]}, headers=alice.auth)
        await client.get(f"/api/invitations/{SECRET}?{SECRET}", headers={"User-Agent": SECRET, "Cookie": SECRET})
        await client.get(f"/{SECRET}")
        await client.request(SECRET.upper(), "/health")
        await client.get("/oauth/authorize", params={"client_id": SECRET, "state": SECRET})

    await traced(settings, ask)
    sent = b"".join(receiver.bodies).decode("utf-8", "replace").lower()
    assert "get /api/invitations/{token}" in sent
    for hidden in (SECRET, alice.key, alice.email, alice.user_id, str(settings.data_dir)):
        assert hidden.lower() not in sent


async def test_only_a_trusted_proxy_chooses_the_trace(receiver: Receiver, settings: Settings) -> None:
    header = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    await traced(settings, lambda client: client.get("/health/live", headers=header))
    behind = settings.model_copy(update={"trusted_proxies": ("127.0.0.1",)})
    await traced(behind, lambda client: client.get("/health/live", headers=header))
    stranger, proxied = receiver.spans()
    assert stranger.trace_id.hex() != TRACE
    assert (proxied.trace_id.hex(), proxied.parent_span_id.hex()) == (TRACE, "b7ad6b7169203331")


async def test_a_receiver_that_is_away_delays_neither_answers_nor_the_end(
    receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.stop()
    monkeypatch.setattr("server.web.tracing.CLOSE_SECONDS", 0.1)
    answer: httpx.Response = await traced(settings, lambda client: client.get("/health/live"))
    assert answer.status_code == 200


@pytest.fixture
def without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    monkeypatch.delitem(sys.modules, "server.web.tracing", raising=False)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_missing_package_refuses_the_start_in_one_sentence(
    without_the_package: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    own_logging: None,
    workers: str,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SELFMEMORY_CHROMA_URL", "http://127.0.0.1:9")
    assert main(["serve", "--port", "0", "--workers", workers]) == 1
    assert capfd.readouterr().err == (
        "selfmemory: OTEL_EXPORTER_OTLP_ENDPOINT is set, but the package that sends traces is not installed: "
        "run .venv/bin/pip install --no-deps -r requirements-telemetry.txt, or unset it\n"
    )


def test_without_an_endpoint_the_package_is_not_needed(without_the_package: None, settings: Settings) -> None:
    create_app(settings)
    assert "server.web.tracing" not in sys.modules
