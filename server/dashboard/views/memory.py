"""One memory: read it with its history, change it, delete it, put it back, add one by hand."""

from pydantic import ValidationError
from starlette.responses import Response

from server.dashboard.fields import LABELLED, checked, label, metadata_of, other_details
from server.dashboard.pages import HOME, PageRequest, go
from server.dashboard.rendering import pretty
from server.dashboard.views import memories as listing
from server.domain.memory import memories
from server.domain.memory.memories import MemoryChange, NewMemory
from server.domain.people import users
from server.errors import Invalid
from server.models import Memory
from server.models.base import JsonObject

MOST_VERSIONS = 5
SHOWN_LENGTH = 12_000


async def show(visit: PageRequest) -> Response:
    """The text in full, what is known about it, and what it was before."""
    memory = await visit.call.read(memories.get, visit.path("memory_id"))
    versions = await visit.call.read(memories.history, memory.id)
    people = {memory.created_by, *(version.updated_by for version in versions)}
    authors = await visit.call.read(users.names_of, people)
    whole = "whole" in visit.request.query_params
    return await visit.page(
        "memory.html",
        memory.project_id,
        memory=memory,
        text=memory.content if whole else memory.content[:SHOWN_LENGTH],
        row=listing.Row.of(memory),
        other=other_details(memory.details),
        earlier=versions[1 : MOST_VERSIONS + 1],
        earlier_count=len(versions) - 1,
        authors=authors,
    )


async def edit(visit: PageRequest) -> Response:
    """The form, with what is stored or what was typed last."""
    memory = await visit.call.read(memories.get, visit.path("memory_id"))
    values = _typed(visit) if visit.problem else _stored(memory)
    return await visit.page("memory_form.html", memory.project_id, memory=memory, values=values)


async def save(visit: PageRequest) -> Response:
    """A browser sends lines with other ends than they are stored with: that alone is no change."""
    memory_id = visit.path("memory_id")
    memory = await visit.call.read(memories.get, memory_id)
    typed = _typed(visit)
    details = metadata_of(typed, memory.details)
    text = None if typed["text"] == memory.content.replace("\r\n", "\n") else typed["text"]
    change = checked(MemoryChange, {"text": text, "metadata": details})
    await visit.call.run(memories.update, memory_id, change, visit.call.index)
    return go(f"{HOME}/memories/{memory_id}", "saved")


async def new(visit: PageRequest) -> Response:
    """An empty form, or what was typed last."""
    return await visit.page("memory_form.html", visit.path("project_id"), memory=None, values=_typed(visit))


async def add(visit: PageRequest) -> Response:
    typed = _typed(visit)
    given = {
        "messages": [{"role": "user", "content": typed["text"]}],
        "metadata": metadata_of(typed, {}),
        "user_id": typed["user_id"].strip() or None,
        "project_id": visit.path("project_id"),
    }
    memory_id = await visit.call.run(memories.add, checked(NewMemory, given), visit.call.index)
    return go(f"{HOME}/memories/{memory_id}", "added")


async def delete(visit: PageRequest) -> Response:
    """Gone at once, everywhere; this answer alone still holds the text, in a form that adds it again."""
    memory = await visit.call.read(memories.get, visit.path("memory_id"))
    await visit.call.run(memories.delete, memory.id)
    return await listing.show(visit, removed=memory)


async def restore(visit: PageRequest) -> Response:
    """Add what was deleted a moment ago, at its old place in time; its versions are gone for good."""
    try:
        kept = NewMemory.model_validate_json(visit.text("kept"))
    except ValidationError:
        raise Invalid("This memory cannot be put back: the form is not whole.") from None
    kept = kept.model_copy(update={"project_id": visit.path("project_id")})
    memory_id = await visit.call.run(memories.add, kept, visit.call.index)
    return go(f"{HOME}/memories/{memory_id}", "restored")


def _typed(visit: PageRequest) -> dict[str, str]:
    return {name: visit.text(name) for name in ("text", *LABELLED, "more", "user_id")}


def _stored(memory: Memory) -> dict[str, str]:
    other: JsonObject = other_details(memory.details)
    labels = {key: label(memory.details, key) for key in LABELLED}
    return {"text": memory.content, "more": pretty(other) if other else "", "user_id": memory.user_id or "", **labels}
