"""What an assistant should know at the start of a conversation, over HTTP."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read_query, reply
from rest.project_param import OfUser, project_of
from rest.views import OfRow
from server.domain.memory import context
from server.domain.memory.context import DEFAULT_BUDGET, ContextBudget, ContextEntry, text_of
from server.models import Memory
from server.shell.runtime import State


class ContextQuery(OfUser):
    budget: ContextBudget = Field(default=DEFAULT_BUDGET, description="the maximum length of the text, in characters")


class KnownView(OfRow):
    id: str
    content: str = Field(description="the part of the memory that the text shows")
    pinned: bool
    created_at: datetime


class ContextView(BaseModel):
    text: str = Field(description="one line for each memory")
    memories: list[KnownView] = Field(description="pinned memories first, then recent and frequently found ones")

    @classmethod
    def of(cls, entries: list[ContextEntry]) -> Self:
        memories = [KnownView.of(entry.memory, content=entry.text) for entry in entries]
        return cls(text=text_of(entries), memories=memories)


async def read(request: Request[State]) -> Response:
    """Read what to know at the start of a conversation: pinned memories, then recent and frequently found ones."""
    call = await call_of(request)
    query = read_query(request, ContextQuery)
    await project_of(request, call)
    entries = await call.read(context.read_context, query.project_id, query.user_id, query.budget, write_line)
    return reply(ContextView.of(entries))


def write_line(_memory: Memory, text: str) -> str:
    return f"- {text}"
