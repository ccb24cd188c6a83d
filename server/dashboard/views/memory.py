"""One memory: show it with its history, add, edit, delete, restore."""

from contextlib import suppress

from pydantic import ValidationError
from starlette.responses import Response

from server.dashboard.fields import LABEL_KEYS, label_text, metadata_of, other_details, parse_fields
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import number_in
from server.dashboard.rendering import pretty
from server.dashboard.views import memories as memory_list
from server.dashboard.views.memory_rows import Row
from server.domain.memory import deletions, memories, trash, versions
from server.domain.memory.memories import MemoryChange, NewMemory
from server.domain.people import users
from server.errors import Invalid, NotFound
from server.models import Memory
from server.models.base import JsonObject

MAX_VERSIONS = 5
SHOWN_LENGTH = 12_000
"""Characters of a memory's text on its page. A link shows the rest."""


async def show(request: PageRequest) -> Response:
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    before = _history_start(request, memory)
    page = await request.call.read(versions.history, memory.id, MAX_VERSIONS, before)
    author_ids = {memory.created_by, memory.updated_by, *(version.updated_by for version in page.versions)}
    shows_all = "whole" in request.http.query_params
    return await request.render(
        "memory.html",
        memory.project_id,
        memory=memory,
        text=memory.content if shows_all else memory.content[:SHOWN_LENGTH],
        row=Row.of(memory),
        other=other_details(memory.details),
        earlier=page.versions,
        earlier_count=await request.call.read(versions.count_versions, memory.id),
        has_more_versions=page.has_more,
        is_newest_history=before == memory.version,
        authors=await request.call.read(users.names_of, author_ids),
    )


async def edit(request: PageRequest) -> Response:
    """Show the form with the stored values, or after a refusal with what was typed."""
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    values = _typed(request) if request.problem else _stored(memory)
    return await request.render("memory_form.html", memory.project_id, memory=memory, values=values)


async def save(request: PageRequest) -> Response:
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    typed = _typed(request)
    details = metadata_of(typed, memory.details)
    # A browser changes line ends, which alone is no change of the text.
    is_same_text = typed["text"] == memory.content.replace("\r\n", "\n")
    change = parse_fields(MemoryChange, {"text": None if is_same_text else typed["text"], "metadata": details})
    await request.call.run(memories.update, memory.id, change, request.call.index)
    return redirect(f"{HOME}/memories/{memory.id}", "saved")


async def new(request: PageRequest) -> Response:
    """Show an empty form, or after a refusal what was typed."""
    return await request.render("memory_form.html", request.project_id, memory=None, values=_typed(request))


async def add(request: PageRequest) -> Response:
    typed = _typed(request)
    fields = {
        "messages": [{"role": "user", "content": typed["text"]}],
        "metadata": metadata_of(typed, {}),
        "user_id": typed["user_id"].strip() or None,
        "project_id": request.project_id,
    }
    memory_id = await request.call.run(memories.add, parse_fields(NewMemory, fields), request.call.index)
    return redirect(f"{HOME}/memories/{memory_id}", "added")


async def delete(request: PageRequest) -> Response:
    """Delete the memory, and show a form that restores it."""
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    await request.call.run(deletions.delete, memory.id)
    return await memory_list.show(request, deleted=memory)


async def restore(request: PageRequest) -> Response:
    """Bring a memory that was just deleted back from the trash. If the trash has no such memory, add it again."""
    try:
        kept = NewMemory.model_validate_json(request.text("kept"))
    except ValidationError:
        raise Invalid("This memory cannot be restored: the form is incomplete.") from None
    if known := (kept.model_extra or {}).get("id"):
        with suppress(NotFound, Invalid):
            memory = await request.call.run(trash.restore, str(known))
            return redirect(f"{HOME}/memories/{memory.id}", "restored")
    kept = kept.model_copy(update={"project_id": request.project_id})
    memory_id = await request.call.run(memories.add, kept, request.call.index)
    return redirect(f"{HOME}/memories/{memory_id}", "restored")


def _history_start(request: PageRequest, memory: Memory) -> int:
    """Return the version before which the shown history begins: the current one, unless the address names another."""
    before = number_in(request, "before")
    return memory.version if before is None else min(before, memory.version)


def _typed(request: PageRequest) -> dict[str, str]:
    return {name: request.text(name) for name in ("text", *LABEL_KEYS, "more", "user_id")}


def _stored(memory: Memory) -> dict[str, str]:
    other: JsonObject = other_details(memory.details)
    labels = {key: label_text(memory.details, key) for key in LABEL_KEYS}
    return {"text": memory.content, "more": pretty(other) if other else "", "user_id": memory.user_id or "", **labels}
