"""Sends OpenTelemetry traces: a span for each request, with spans for its transactions and the model inside.

No span has a path, a query, a header, a text or an exception: they may hold secrets. Needs the extra `telemetry`.
OpenTelemetry's environment variables configure it. Nothing here is global, so libraries trace nothing.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

import sqlalchemy as sa
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import event
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server import __version__, spans
from server.metrics import METHODS
from server.web.forwarding import is_within, networks
from server.web.middleware import route_of

SERVICE = "selfmemory-server"
CLOSE_SECONDS = 2.0
"""How long shutdown waits for the last spans to be sent."""

_SPAN = "span"


class Tracing:
    """Sends spans in the background to the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        ours = Resource.create({"service.name": SERVICE, "service.version": __version__})
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer(SERVICE, __version__)
        self._trusted = networks(trusted_proxies)

    def close(self) -> None:
        """Send the last spans, unless the endpoint is too slow."""
        closing = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the exporter would keep trying

    def parent_of(self, scope: Scope) -> Context:
        """Return the trace that a trusted proxy started. Traces that other clients name are ignored."""
        peer = (scope.get("client") or ("", 0))[0]
        header = Headers(scope=scope).get("traceparent") if is_within(peer, self._trusted) else None
        return TraceContextTextMapPropagator().extract({"traceparent": header} if header else {}, Context())

    def middleware(self, app: ASGIApp) -> "Traced":
        return Traced(app, self)

    def child(self, name: str) -> AbstractContextManager[Span]:
        return self.tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)

    def watch(self, engine: sa.Engine) -> None:
        """Record each transaction of a request as a span. Call it before other threads use the engine."""

        def begin(connection: sa.Connection) -> None:
            if trace.get_current_span().is_recording():
                database = {"db.system.name": connection.dialect.name}
                connection.info[_SPAN] = self.tracer.start_span("transaction", attributes=database)

        def end(connection: sa.Connection) -> None:
            span: Span | None = connection.info.pop(_SPAN, None)
            if span is not None:
                span.end()

        event.listen(engine, "begin", begin, insert=True)  # registered before the handler that waits for SQLite's file
        event.listen(engine, "commit", end)
        event.listen(engine, "rollback", end)


class Traced:
    """The outermost middleware if tracing is on. It records a span for each request."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app, self.tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        parent = self.tracing.parent_of(scope)
        span = self.tracing.tracer.start_span(method, parent, SpanKind.SERVER, {"http.request.method": method})
        begun = spans.start.set(self.tracing.child)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                _describe(span, message)
            await send(message)

        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                await self.app(scope, receive, sending)
        finally:
            route = route_of(scope)
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
            span.end()
            spans.start.reset(begun)


def _describe(span: Span, message: Message) -> None:
    span.set_attribute("http.response.status_code", message["status"])
    span.set_attribute("selfmemory.request_id", Headers(raw=message["headers"]).get("x-request-id", ""))
    if message["status"] >= 500:
        span.set_status(StatusCode.ERROR)
