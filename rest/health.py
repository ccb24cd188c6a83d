"""Health and metrics: is it alive, is it ready, how is each part; no hosts, no versions."""

import hmac
import ipaddress
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import reply
from server.errors import Forbidden
from server.health import Status, check_all, count_memories_and_pending, overall_status
from server.metrics import CONTENT_TYPE
from server.runtime import State
from server.settings import is_loopback

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Live(BaseModel):
    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    status: Literal["ready", "not ready"]


class CheckView(BaseModel):
    status: Status
    latency_ms: float
    work: str | None = Field(
        default=None, exclude_if=lambda value: value is None, description="what is done in the background, and how far"
    )


class Health(BaseModel):
    status: Status
    timestamp: datetime
    checks: dict[str, CheckView]


async def live(_request: Request[State]) -> Response:
    """Tell that the process answers."""
    return reply(Live())


async def ready(request: Request[State]) -> Response:
    """Tell whether requests can be served: 503 while the database or the model cannot."""
    is_ready = overall_status(await check_all(request.state["runtime"])) is not Status.UNHEALTHY
    return reply(Ready(status="ready" if is_ready else "not ready"), 200 if is_ready else 503)


async def health(request: Request[State]) -> Response:
    """Tell how each part is; 503 when the whole is unhealthy."""
    checks = await check_all(request.state["runtime"])
    status = overall_status(checks)
    views = {
        name: CheckView(status=check.status, latency_ms=check.latency_ms, work=check.work)
        for name, check in checks.items()
    }
    view = Health(status=status, timestamp=datetime.now(UTC), checks=views)
    return reply(view, 503 if status is Status.UNHEALTHY else 200)


async def metrics(request: Request[State]) -> Response:
    """Tell Prometheus what was counted; for this machine, or with the metrics token."""
    if not (_has_token(request) or _is_from_here(request)):
        raise Forbidden("Metrics are for this machine, and for whoever sends the metrics token.")
    runtime = request.state["runtime"]
    memories, pending = await runtime.read(count_memories_and_pending)
    return Response(runtime.metrics.render(memories=memories, pending=pending), media_type=CONTENT_TYPE)


def _has_token(request: Request[State]) -> bool:
    token = request.state["runtime"].settings.metrics_token.get_secret_value()
    given = request.headers.get("authorization", "")
    return bool(token) and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _is_from_here(request: Request[State]) -> bool:
    """A loopback peer that asked a loopback name and forwards for nobody: a proxy on this machine is not enough."""
    peer = request.client.host if request.client else ""
    try:
        is_local = ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return is_local and not is_forwarded and is_loopback(f"//{request.headers.get('host', '')}")
