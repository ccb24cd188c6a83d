"""A change that merges: it keeps everything that it does not name."""

from pydantic import BaseModel, ConfigDict
from sqlmodel import Session

from server.domain.access import Action, require_memory
from server.domain.memory import memories
from server.domain.memory.inputs import MemoryChange
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS
from server.domain.memory.metadata import Content, Metadata, parse_metadata
from server.errors import Invalid
from server.index import Index
from server.models import Memory
from server.models.base import JSON, JsonObject
from server.principal import Principal


class MemoryPatch(BaseModel):
    """What to change. None keeps the current value; in `metadata`, null removes a key (RFC 7396)."""

    model_config = ConfigDict(frozen=True)

    content: Content | None = None
    tags: list[str] | None = None
    people_mentioned: list[str] | None = None
    topic_category: str | None = None
    metadata: Metadata | None = None


def merge(session: Session, principal: Principal, memory_id: str, patch: MemoryPatch, index: Index) -> Memory:
    """Merge the patch into the memory and keep the previous version. Raises what `memories.update` does, and Invalid.

    The index must be prepared, since the metadata is merged before the text is embedded.
    """
    memory = require_memory(session, principal, memory_id, Action.WRITE)
    return memories.update(session, principal, memory_id, merged_change(memory, patch), index)


def merged_change(memory: Memory, patch: MemoryPatch) -> MemoryChange:
    """Return the change that gives the memory its merged values. Raises Invalid if the metadata becomes too large."""
    labels: JsonObject = {TAGS: patch.tags, PEOPLE: patch.people_mentioned, CATEGORY: patch.topic_category}
    own = {key: value or None for key, value in labels.items() if value is not None}
    details = merge_json(memory.details, {**(patch.metadata or {}), **own})
    return MemoryChange(text=patch.content, metadata=checked(details))


def checked(details: JSON) -> JsonObject:
    """Return merged metadata as it is stored. Raises Invalid if it has become too large."""
    try:
        return parse_metadata(details)
    except ValueError as reason:
        raise Invalid(f"{reason}.", field="metadata") from None


def merge_json(target: JSON, patch: JSON) -> JSON:
    """Return the target with the patch merged into it (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_json(merged.get(key), value)
    return merged
