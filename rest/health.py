"""Health and metrics. The answers never name hosts or versions."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from rest.http import reply
from rest.views import OfRow, left_out_if
from server.errors import Forbidden
from server.metrics import CONTENT_TYPE
from server.network.urls import address_of, is_loopback
from server.shell import monitoring
from server.shell.health import Status, overall_status
from server.shell.runtime import State

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Live(BaseModel):
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    status: Literal["ready", "not ready"]


class CheckView(OfRow):
    status: Status
    latency_ms: float
    work: str | None = left_out_if(None, "background work and its progress")
    problem: str | None = left_out_if(None, "what is missing, and how to get it")
    models: Mapping[str, int] | None = left_out_if(
        None, 'how many memories have vectors of each model; "none" counts those without vectors'
    )
    advice: str | None = left_out_if(None, "the setting that would improve the results")


class Health(BaseModel):
    status: Status
    timestamp: datetime
    checks: dict[str, CheckView]


async def live(_request: Request[State]) -> Response:
    """Report that the process answers."""
    return reply(Live())


async def ready(request: Request[State]) -> Response:
    """Report whether requests can be served. 503 while the database or the model cannot be used."""
    is_ready = overall_status(await request.state["runtime"].health.current()) is not Status.UNHEALTHY
    return reply(Ready(status="ready" if is_ready else "not ready"), 200 if is_ready else 503)


async def health(request: Request[State]) -> Response:
    """Report the health of each part. 503 when the service is unhealthy."""
    checks = await request.state["runtime"].health.current()
    status = overall_status(checks)
    views = {name: CheckView.of(check) for name, check in checks.items()}
    view = Health(status=status, timestamp=datetime.now(UTC), checks=views)
    return reply(view, 503 if status is Status.UNHEALTHY else 200)


async def metrics(request: Request[State]) -> Response:
    """Return the metrics for Prometheus. Only for this machine, or with the metrics token."""
    if not (_has_token(request) or _is_from_this_machine(request)):
        raise Forbidden("Read the metrics from this machine, or send the metrics token.")
    runtime = request.state["runtime"]
    checks, amounts = await runtime.health.current(), await runtime.health.amounts.current()
    return Response(monitoring.render(runtime, checks, amounts), media_type=CONTENT_TYPE)


def _has_token(request: Request[State]) -> bool:
    token = request.state["runtime"].settings.metrics_token.get_secret_value()
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    return bool(token) and is_bearer and hmac.compare_digest(sent.strip().encode(), token.encode())


def _is_from_this_machine(request: Request[State]) -> bool:
    """Return whether peer and Host are loopback and no proxy on this machine forwarded the request."""
    peer = address_of(request.client.host if request.client else "")
    is_local = peer is not None and peer.is_loopback
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return is_local and not is_forwarded and is_loopback(f"//{request.headers.get('host', '')}")
