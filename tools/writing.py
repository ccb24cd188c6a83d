"""The tools that write. A docstring is a prompt: a model reads it to decide when to use the tool."""

from collections.abc import Sequence

from server.domain.memory import changes, deletions, repeats
from server.domain.memory.changes import MemoryPatch
from server.domain.memory.inputs import NewMemory
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS
from server.errors import Invalid
from server.shell.runtime import Call
from server.web.wire import validated
from tools.inputs import AddArguments, DeleteArguments, UpdateArguments
from tools.views import Answer, Change


async def add_memory(call: Call, arguments: AddArguments) -> Answer:
    """Remember something for good: a fact, a preference, a decision, a plan, something about a person.

    One call is one memory. Write it so that it makes sense on its own in a year: names instead of "he" or "it", dates
    instead of "tomorrow". The very next search finds it. Never save passwords or keys.
    """
    labels = {TAGS: arguments.tags, PEOPLE: arguments.people_mentioned, CATEGORY: arguments.topic_category}
    names = {"content", "metadata", "created_at", "expires_in_days", "pinned"}
    fields = arguments.model_dump(include=names) | labels
    new = validated(NewMemory, {key: value for key, value in fields.items() if value})
    remembered = await call.run(repeats.remember, new, call.index)
    message = _SENTENCES[remembered.outcome].format(id=remembered.memory_id)
    return _change(remembered.memory_id, message + _ignored_note(remembered.kept))


_SENTENCES = {
    repeats.Outcome.ADDED: "Remembered as {id}.",
    repeats.Outcome.KNOWN: "This was already remembered, as {id}.",
    repeats.Outcome.COMPLETED: "This was already remembered, as {id}; what was new was added to it.",
}


def _ignored_note(names: Sequence[str]) -> str:
    """Return a space and a sentence that names the arguments that were ignored. Empty if there are none."""
    if not names:
        return ""
    verb, it = ("stays as it was", "it") if len(names) == 1 else ("stay as they were", "them")
    fixed = [name for name in names if name in (repeats.CREATED_AT, repeats.EXPIRY)]
    advice = f"update_memory changes all but {_joined(fixed)}" if fixed else f"use update_memory to change {it}"
    return f" Its {_joined(names)} {verb}: {advice}."


def _joined(names: Sequence[str]) -> str:
    """Return "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


async def update_memory(call: Call, arguments: UpdateArguments) -> Answer:
    """Correct a memory that has changed or was wrong: its text, its labels, its metadata, or several of them.

    What you leave out stays as it is. Find its id with search first. The previous version stays in the memory's
    history.
    """
    patch = MemoryPatch.model_validate(arguments.model_dump(include=arguments.model_fields_set - {"id"}))
    if not patch.model_fields_set:
        *others, last = [name for name in UpdateArguments.model_fields if name != "id"]
        raise Invalid(f"Give at least one of {', '.join(others)} or {last}.")
    await call.run(changes.merge, arguments.id, patch, call.index)
    return _change(arguments.id, f"Updated {arguments.id}.")


async def delete_memory(call: Call, arguments: DeleteArguments) -> Answer:
    """Delete one memory with all its versions. It can be restored for some days, unless permanent is true. Use it only
    when the user wants something forgotten; to correct something, use update_memory.
    """
    until = await call.run(deletions.delete, arguments.id, arguments.permanent)
    if until is None:
        return _change(arguments.id, f"Deleted {arguments.id} permanently.")
    return _change(arguments.id, f"Deleted {arguments.id}; it can be restored until {until:%Y-%m-%d %H:%M} UTC.")


def _change(memory_id: str, message: str) -> Answer:
    return Answer(Change(memory_id=memory_id, message=message), message)
