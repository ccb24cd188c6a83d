"""One memory: show it with its history, add, edit, delete, restore."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from pydantic import ValidationError
from starlette.responses import Response

from server.dashboard.dates import zone_of
from server.dashboard.details import KIND_NAMES, DetailRow, details_of, rows_in_form, rows_of
from server.dashboard.differences import ChangedValue, Piece, detail_differences, text_differences
from server.dashboard.excerpts import heading
from server.dashboard.fields import LABEL_KEYS, label_text, labels_of, other_details, parse_fields
from server.dashboard.markdown import to_text
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import MAX_DIGITS, number_in
from server.dashboard.views import memories as memory_list
from server.dashboard.views.memory_rows import Row
from server.domain.memory import changes, deletions, facets, memories, selection, similar, trash, versions
from server.domain.memory.excerpts import title_of
from server.domain.memory.expiry import expiry_of
from server.domain.memory.filters import Filters
from server.domain.memory.memories import MemoryChange, NewMemory
from server.domain.memory.versions import Version
from server.domain.people import users
from server.errors import Invalid, NotFound
from server.models import Memory
from server.models.base import JsonObject

MAX_VERSIONS = 5
MOST_SIMILAR = 4
EXPIRY_DAYS = {"1": "In a day", "7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
NEVER = "never"
SHOWN_LENGTH = 12_000
"""How much of a text its page shows at first, in characters. A link shows the rest."""


class Turn(NamedTuple):
    """What one speaker says in a memory. `speaker` is None if the text names no speakers."""

    speaker: str | None
    text: str


class Change(NamedTuple):
    """An earlier version, and what the next version changed. `text` is None if the text is too long to compare."""

    version: Version
    text: Sequence[Piece] | None
    details: Sequence[ChangedValue]


class Typed(NamedTuple):
    """The values of the form, as somebody typed them."""

    texts: dict[str, str]
    rows: Sequence[DetailRow]

    def metadata(self, before: JsonObject) -> JsonObject:
        """Return the metadata that `before` becomes. Raises Invalid."""
        return details_of(self.rows, before) | labels_of(self.texts, before)

    def expiry(self) -> dict[str, object]:
        """Return the new expiry, or nothing if it stays as it is. Raises Invalid."""
        choice = self.texts["expires"]
        if choice in EXPIRY_DAYS:
            return {"expires_at": expiry_of(None, int(choice))}
        if choice not in ("", NEVER):
            raise Invalid("choose one of the options.", field="Expires")
        return {"expires_at": None} if choice else {}


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
        row=Row.of(memory),
        other=other_details(memory.details),
        changes=[_change(version, successor) for successor, version in pairwise(page.versions)],
        earlier_count=await request.call.read(versions.count_versions, memory.id),
        has_more_versions=page.has_more,
        is_newest_history=before == memory.version,
        authors=await request.call.read(users.names_of, author_ids),
        similar=[Row.of(one) for one in alike],
    )


async def pin(request: PageRequest) -> Response:
    """Pin the memory, or unpin it."""
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    is_pinned = request.text("pinned") == "1"
    await request.call.run(selection.pin, memory.project_id, [memory.id], is_pinned, request.call.index)
    return redirect(f"{HOME}/memories/{memory.id}", "pinned" if is_pinned else "unpinned")


async def restore_version(request: PageRequest) -> Response:
    """Make an earlier version the current one. Raises NotFound."""
    memory_id, version = request.path_param("memory_id"), request.text("version")
    if not (version.isascii() and version.isdecimal() and len(version) <= MAX_DIGITS):
        raise NotFound("Version not found.")
    await request.call.run(changes.restore, memory_id, int(version), request.call.index)
    return redirect(f"{HOME}/memories/{memory_id}", "version-restored")


async def edit(request: PageRequest) -> Response:
    """Show the form with the stored values, or, after a refusal, with the user's input."""
    memory = await request.call.read(memories.get, request.path_param("memory_id"))
    typed = _typed(request) if request.form else _stored(memory)
    return await _form(request, memory.project_id, memory, typed)


async def save(request: PageRequest) -> Response:
    if request.text("row"):
        return await edit(request)
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    typed = _typed(request)
    # Browsers change line endings. That alone is not a change of the text.
    is_same_text = typed.texts["text"] == memory.content.replace("\r\n", "\n")
    text = None if is_same_text else typed.texts["text"]
    fields = {"text": text, "metadata": typed.metadata(memory.details), **typed.expiry()}
    saved = await request.call.run(memories.update, memory.id, parse_fields(MemoryChange, fields), request.call.index)
    is_same = saved.version == memory.version
    return redirect(f"{HOME}/memories/{memory.id}", "unchanged" if is_same else "saved")


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
        **typed.expiry(),
    }
    memory_id = await request.call.run(memories.add, parse_fields(NewMemory, fields), request.call.index)
    return redirect(f"{HOME}/memories/{memory_id}", "added")


async def delete(request: PageRequest) -> Response:
    """Delete the memory, and show a form that restores it."""
    memory = await request.call.read(changes.to_change, request.path_param("memory_id"))
    await request.call.run(deletions.delete, memory.id)
    return await memory_list.show(request, deleted=memory)


async def restore(request: PageRequest) -> Response:
    """Restore a memory that was just deleted. If it is not in the trash, add it again."""
    try:
        new_memory = NewMemory.model_validate_json(request.text("kept"))
    except ValidationError:
        raise Invalid("Nothing was restored, because the form is incomplete. Reload the page and try again.") from None
    if memory_id := (new_memory.model_extra or {}).get("id"):
        with suppress(NotFound, Invalid):
            memory = await request.call.run(trash.restore, str(memory_id))
            return redirect(f"{HOME}/memories/{memory.id}", "restored")
    new_memory = new_memory.model_copy(update={"project_id": request.project_id})
    memory_id = await request.call.run(memories.add, new_memory, request.call.index)
    return redirect(f"{HOME}/memories/{memory_id}", "restored")


def _history_start(request: PageRequest, memory: Memory) -> int:
    """Return the version before which the shown history begins: the one in the address, or else the current one."""
    before = number_in(request, "before")
    return memory.version if before is None else min(before, memory.version)


def _title(memory: Memory) -> str:
    """Return the first line without Markdown markers."""
    text = memory.messages[0]["content"] if memory.messages else memory.content
    return heading(title_of(text)) or "Memory"


async def _form(request: PageRequest, project_id: str, memory: Memory | None, typed: Typed) -> Response:
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
        rows=rows,
        button=button,
        kinds=KIND_NAMES,
        expiries=EXPIRY_DAYS,
        expires_at=expires_at and expires_at.astimezone(zone_of(request.http.cookies)),
        names=await request.call.read(facets.detail_names, project_id),
        known=await request.call.read(facets.facets, project_id, Filters()),
        wrong=request.problem if isinstance(request.problem, Invalid) else None,
    )


def _change(version: Version, successor: Version) -> Change:
    return Change(
        version,
        text_differences(version.content, successor.content),
        detail_differences(version.details, successor.details),
    )


def _is_plain(memory: Memory) -> bool:
    """Return whether the memory's page shows its text as it is."""
    content = memory.content
    return not memory.messages and "\n" not in content and to_text(content) == content


def _turns(memory: Memory, length: int) -> list[Turn]:
    """Return the memory's text by speaker, up to `length` characters."""
    if not memory.messages:
        return [Turn(None, memory.content[:length])]
    turns = []
    for message in memory.messages:
        if length <= 0:
            break
        turns.append(Turn(message["role"], message["content"][:length]))
        length -= len(message["content"])
    return turns


def _typed(request: PageRequest) -> Typed:
    texts = {name: request.text(name) for name in ("text", *LABEL_KEYS, "user_id", "expires")}
    return Typed(texts, rows_in_form(request.texts("names"), request.texts("kinds"), request.texts("values")))


def _stored(memory: Memory) -> Typed:
    labels = {key: label_text(memory.details, key) for key in LABEL_KEYS}
    texts = {"text": memory.content, "user_id": memory.user_id or "", "expires": "", **labels}
    return Typed(texts, rows_of(memory.details))
