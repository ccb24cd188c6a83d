"""One memory: show it with its history, add, edit, delete, restore."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from server.dashboard.dates import zone_of
from server.dashboard.details import KIND_NAMES, DetailRow, rows_in_form
from server.dashboard.differences import ChangedValue, Piece, detail_differences, text_differences
from server.dashboard.excerpts import heading
from server.dashboard.fields import LABEL_KEYS, other_details, parse_fields, whole_number
from server.dashboard.markdown import to_text
from server.dashboard.memory_form import EXPIRY_DAYS, Typed, stored
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import back_to, number_in
from server.dashboard.views import memories as memory_list
from server.dashboard.views.memory_rows import Row
from server.domain.memory import changes, deletions, memories, selection, trash, versions
from server.domain.memory.excerpts import title_of
from server.domain.memory.filters import Filters
from server.domain.memory.inputs import MemoryChange, NewMemory
from server.domain.memory.pages import facets, similar
from server.domain.memory.versions import Version
from server.domain.people import users
from server.errors import Invalid, NotFound
from server.hashing import new_token
from server.models import Memory

MAX_VERSIONS = 5
MOST_SIMILAR = 4
SHOWN_LENGTH = 12_000
"""How much of a text its page shows at first, in characters. A link shows the rest."""


MOST_AS_MARKDOWN = 100_000
"""About how many characters of a conversation are rendered as Markdown. The page shows later messages as plain text,
because rendering a memory of 1 MB takes ten seconds.
"""


class Turn(NamedTuple):
    """What one speaker says in a memory. `speaker` is None if the text names no speakers."""

    speaker: str | None
    text: str
    is_rendered: bool = True


class Deleted(BaseModel):
    """A memory in the trash, by its id in the form that restores it."""

    id: str | None = None


@dataclass(frozen=True)
class Change:
    """An earlier version, and what the next version changed. Only the template asks for the differences, so that the
    thread that renders the page finds them.
    """

    version: Version
    successor: Version | Memory

    @cached_property
    def text(self) -> Sequence[Piece] | None:
        """The differences of the texts, or None if they are too long to compare."""
        return text_differences(self.version.content, self.successor.content)

    @cached_property
    def details(self) -> Sequence[ChangedValue]:
        return detail_differences(self.version.details, self.successor.details)


async def show(request: PageRequest) -> Response:
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    before = _history_start(request, memory)
    page = await request.call.read(versions.read_history, memory.id, MAX_VERSIONS + 1, before + 1)
    alike = await request.call.read(similar.similar_to, memory.id, request.call.index, MOST_SIMILAR)
    author_ids = {memory.created_by, memory.updated_by, *(version.updated_by for version in page.versions)}
    length = len(memory.content) if "whole" in request.http.query_params else SHOWN_LENGTH
    return await request.render(
        "memory.html",
        memory.project_id,
        memory=memory,
        title=_title(memory),
        turns=_turns(memory, length),
        text=memory.content[:length],
        is_plain=_is_plain(memory),
        row=Row(memory),
        other=other_details(memory.details),
        changes=[Change(version, successor) for successor, version in pairwise(page.versions)],
        earlier_count=await request.call.read(versions.count_versions, memory.id),
        has_more_versions=page.has_more,
        is_newest_history=before == memory.version,
        authors=await request.call.read(users.names_of, author_ids),
        similar=[Row(one) for one in alike],
        back=_query_of(request.http.query_params.get("back", "")),
    )


async def pin(request: PageRequest) -> Response:
    """Pin the memory, or unpin it."""
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    is_pinned = request.text("pinned") == "1"
    await request.call.run(selection.pin, memory.project_id, [memory.id], is_pinned, request.call.index)
    return redirect(back_to(request, f"{HOME}/memories/{memory.id}"), "pinned" if is_pinned else "unpinned")


async def restore_version(request: PageRequest) -> Response:
    """Make an earlier version the current one. Raises NotFound."""
    memory_id, version = request.path_param("memory_id"), whole_number(request.text("version"))
    if version is None:
        raise NotFound("Version not found.")
    await request.call.run(changes.restore, memory_id, version, request.call.index)
    return redirect(back_to(request, f"{HOME}/memories/{memory_id}"), "version-restored")


async def edit(request: PageRequest) -> Response:
    """Show the form with the stored values, or, after a refusal, with the user's input."""
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    if isinstance(request.problem, changes.ChangedSince):
        return await _form_after_change(request, memory)
    typed = _typed(request) if request.form else stored(memory)
    return await _form(request, memory.project_id, memory, typed)


async def save(request: PageRequest) -> Response:
    if request.text("row"):
        return await edit(request)
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    typed = _typed(request)
    # Browsers change line endings. That alone is not a change of the text.
    text = None if typed.texts["text"] == stored(memory).texts["text"] else typed.texts["text"]
    fields = {"text": text, "metadata": typed.metadata(memory.details), **typed.expiry()}
    change, seen_version = parse_fields(MemoryChange, fields), _seen_version(request, memory)
    saved = await request.call.run(changes.edit, memory.id, change, seen_version, request.call.index)
    is_same = saved.version == memory.version
    return redirect(back_to(request, f"{HOME}/memories/{memory.id}"), "unchanged" if is_same else "saved")


async def new(request: PageRequest) -> Response:
    """Show an empty form or, after a refusal, the user's input."""
    return await _form(request, request.project_id, None, _typed(request))


async def add(request: PageRequest) -> Response:
    if request.text("row"):
        return await new(request)
    typed = _typed(request)
    fields = {
        "messages": [{"role": "user", "content": typed.texts["text"]}],
        "metadata": typed.metadata({}),
        "user_id": typed.texts["user_id"].strip() or None,
        "project_id": request.project_id,
        "expires_in_days": typed.days(),
    }
    new_memory = parse_fields(NewMemory, fields)
    key = f"{request.text('form')}\n{new_memory.model_dump_json()}" if request.text("form") else None
    memory_id = await request.call.run(memories.add, new_memory, request.call.index, key)
    try:
        await request.call.read(changes.to_change, memory_id)
    except NotFound:  # the form was sent before, and somebody has deleted its memory
        memory_id = await request.call.run(memories.add, new_memory, request.call.index)
    return redirect(f"{HOME}/memories/{memory_id}", "added")


async def delete(request: PageRequest) -> Response:
    """Delete the memory, and show a form that restores it. Without a trash, only this answer still has the text."""
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    await request.call.run(deletions.delete, memory.id)
    if await request.call.read(trash.days, memory.project_id):
        return redirect(_list_of(request, memory.project_id, deleted=memory.id))
    return await memory_list.show(request, deleted=memory)


async def restore(request: PageRequest) -> Response:
    """Restore a memory that was just deleted, and go back to its list. If it is not in the trash, add it again."""
    try:
        if deleted_id := Deleted.model_validate_json(request.text("kept")).id:
            with suppress(NotFound, Invalid):
                memory = await request.call.run(trash.restore, deleted_id)
                return redirect(_list_of(request, memory.project_id), "restored")
        new_memory = NewMemory.model_validate_json(request.text("kept"))
    except ValidationError:
        raise Invalid("Nothing was restored: the memory has left the trash, or the form is incomplete.") from None
    new_memory = new_memory.model_copy(update={"project_id": request.project_id})
    await request.call.run(memories.add, new_memory, request.call.index)
    return redirect(_list_of(request, request.project_id), "restored")


def _list_of(request: PageRequest, project_id: str, **more: str) -> str:
    """Return the address of the list that the form was sent from, with `more` parameters."""
    return f"{HOME}/projects/{project_id}/memories{_query_of(request.text('back'), **more)}"


def _query_of(back: str, **more: str) -> str:
    """Return the query of the list that the memory was opened from, with `more` parameters."""
    query = urlencode(parse_qsl(back.removeprefix("?")) + list(more.items()))
    return f"?{query}" if query else ""


def _seen_version(request: PageRequest, memory: Memory) -> int:
    """Return the version that the person has seen: the one in the form, or else the current one."""
    version = whole_number(request.text("version"))
    return memory.version if version is None else version


async def _form_after_change(request: PageRequest, memory: Memory) -> Response:
    """Show what the person typed, what somebody else changed in the meantime, and who it was."""
    typed, seen_version = _typed(request), _seen_version(request, memory)
    page = await request.call.read(versions.read_history, memory.id, 1, seen_version + 1)
    seen = next((version for version in page.versions if version.version == seen_version), None)
    current = stored(memory)
    typed = typed.merged(stored(seen), current) if seen else typed.with_version_of(current)
    names = await request.call.read(users.names_of, {memory.updated_by})
    source = memory.updated_source
    who = " via ".join(filter(None, (names.get(memory.updated_by or ""), source.name if source else "")))
    sentence = f"This memory was changed{who and f' by {who}'} in the meantime. Check the text, then save again."
    request = request.with_problem(changes.ChangedSince(sentence))
    change = Change(seen, memory) if seen else None
    return await _form(request, memory.project_id, memory, typed, change)


def _history_start(request: PageRequest, memory: Memory) -> int:
    """Return the version before which the shown history begins: the one in the address, or else the current one."""
    before = number_in(request, "before")
    return memory.version if before is None else min(before, memory.version)


def _title(memory: Memory) -> str:
    """Return the title without Markdown markers."""
    text = memory.messages[0]["content"] if memory.messages else memory.content
    return heading(title_of(text, memory.details)) or "Memory"


async def _form(
    request: PageRequest, project_id: str, memory: Memory | None, typed: Typed, change: Change | None = None
) -> Response:
    """Render the form. It autocompletes the labels and names that the project uses, and shows a problem at its field.

    Without a script, the buttons that add and remove a row send the form, which comes back with the changed rows.
    """
    button, expires_at = request.text("row"), memory.expires_at if memory else None
    rows = [row for number, row in enumerate(typed.rows) if button != f"remove-{number}"]
    if button == "add" or not rows:
        rows.append(DetailRow())
    return await request.render(
        "memory_form.html",
        project_id,
        memory=memory,
        values=typed.texts,
        form_id=request.text("form") or new_token(""),
        rows=rows,
        button=button,
        kinds=KIND_NAMES,
        expiries=EXPIRY_DAYS,
        expires_at=expires_at and expires_at.astimezone(zone_of(request.http.cookies)),
        names=await request.call.read(facets.detail_names, project_id),
        known=await request.call.read(facets.facets, project_id, Filters()),
        wrong=request.problem if isinstance(request.problem, Invalid) else None,
        change=change,
    )


def _is_plain(memory: Memory) -> bool:
    """Return whether the memory's page shows exactly its text, so that a plain copy would add nothing."""
    content = memory.content
    return not memory.messages and "\n" not in content and to_text(content) == content


def _turns(memory: Memory, length: int) -> list[Turn]:
    """Return the memory's text by speaker, up to `length` characters."""
    if not memory.messages:
        return [Turn(None, memory.content[:length])]
    turns, shown = [], 0
    for message in memory.messages:
        if shown >= length:
            break
        turns.append(Turn(message["role"], message["content"][: length - shown], shown < MOST_AS_MARKDOWN))
        shown += len(message["content"])
    return turns


def _typed(request: PageRequest) -> Typed:
    texts = {name: request.text(name) for name in ("text", *LABEL_KEYS, "user_id", "expires", "version")}
    return Typed(texts, rows_in_form(request.texts("names"), request.texts("kinds"), request.texts("values")))
