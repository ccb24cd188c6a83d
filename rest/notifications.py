"""Notifications over HTTP."""

from datetime import datetime

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, reply
from rest.views import IsSet, OfRow, StoredObject
from server.domain import notifications
from server.shell.runtime import State


class NotificationView(OfRow):
    id: str
    type: str
    title: str
    message: str
    metadata: StoredObject = Field(validation_alias="details")
    read: IsSet = Field(validation_alias="read_at")
    created_at: datetime


class NotificationList(BaseModel):
    notifications: list[NotificationView] = Field(description="newest first, at most 50")
    unread_count: int


class MarkedRead(BaseModel):
    message: str
    count: int = Field(description="how many were unread")


async def list_all(request: Request[State]) -> Response:
    """List your notifications, newest first."""
    call = await call_of(request)
    newest, unread = await call.read(notifications.list_notifications)
    views = [NotificationView.of(notification) for notification in newest]
    return reply(NotificationList(notifications=views, unread_count=unread))


async def mark_read(request: Request[State]) -> Response:
    """Mark one notification as read."""
    call = await call_of(request)
    count = await call.run(notifications.mark_read, request.path_params["notification_id"])
    return reply(MarkedRead(message="Notification marked as read", count=count))


async def mark_all_read(request: Request[State]) -> Response:
    """Mark all notifications as read."""
    call = await call_of(request)
    count = await call.run(notifications.mark_all_read)
    return reply(MarkedRead(message="All notifications marked as read", count=count))
