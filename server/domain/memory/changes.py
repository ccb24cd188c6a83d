"""Changes that depend on the stored memory: a merge patch, and the return to an earlier version."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlmodel import Session

from server.domain.access import Action, require_memory
from server.domain.memory import memories, versions
from server.domain.memory.expiry import EXPIRES_AT, EXPIRES_IN_DAYS, Days, Future, expiry_of, require_one_way
from server.domain.memory.inputs import MemoryChange, require_same_labels
from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, Labels
from server.domain.memory.metadata import Content, MetadataOrNone, parse_metadata
from server.errors import Conflict, Invalid, NotFound
from server.index import Index
from server.models import Memory, MemoryVersion
from server.models.activity import ActivityKind
from server.models.base import JSON, JsonObject, now
from server.principal import Principal


class ChangedSince(Conflict):
    sentence = "This memory was changed in the meantime. Check it, then save again."


class MemoryPatch(BaseModel):
    """What to change, as a JSON merge patch (RFC 7396): null removes a label, a metadata key, or all metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: Content = Field(default_factory=str, description="the new text")  # an empty text is no value to send
    tags: Labels | None = None
    people_mentioned: Labels | None = None
    topic_category: str | None = None
    metadata: MetadataOrNone = Field(default=None, description="merged key by key")
    pinned: bool | None = None
    expires_at: Future = Field(default=None, description=EXPIRES_AT)
    expires_in_days: Days | None = Field(default=None, description=EXPIRES_IN_DAYS)

    @model_validator(mode="after")
    def _expires_in_one_way(self) -> Self:
        require_one_way(self.expires_at, self.expires_in_days)
        return self


def to_change(session: Session, principal: Principal, memory_id: str) -> Memory:
    """Return a memory that the caller is about to change, which is noted as a change and not also as a read.

    Raises NotFound, Forbidden.
    """
    return require_memory(session, principal, memory_id, Action.WRITE, lock=False)


def merge(session: Session, principal: Principal, memory_id: str, patch: MemoryPatch, index: Index) -> Memory:
    """Merge the patch into the current state of the memory. Raises Invalid, and the errors of `memories.update`."""
    return memories.update(session, principal, memory_id, lambda memory: merged_change(memory, patch), index)


def edit(
    session: Session, principal: Principal, memory_id: str, change: MemoryChange, seen_version: int, index: Index
) -> Memory:
    """Apply the change of somebody who has seen that version. Raises the errors of `memories.update`, and ChangedSince
    if the text or metadata is different now, unless it is what the change asks for. A pin is no difference.
    """

    def unless_changed(memory: Memory) -> MemoryChange:
        if not memories.is_already(memory, change) and not _has_same_content(session, memory, seen_version):
            raise ChangedSince
        return change

    return memories.update(session, principal, memory_id, unless_changed, index)


def restore(session: Session, principal: Principal, memory_id: str, version: int, index: Index) -> Memory:
    """Make an earlier version the current one. This is a change like any other: the version it replaces is kept.

    Raises NotFound, also for a version that is not kept, and the errors of `memories.update`.
    """

    def restoring(memory: Memory) -> MemoryChange:
        return restoring_change(session, memory, version)

    return memories.update(session, principal, memory_id, restoring, index, ActivityKind.RESTORE)


def merged_change(memory: Memory, patch: MemoryPatch) -> MemoryChange:
    """Return the change that gives the memory its merged values. Raises Invalid if the metadata becomes too large."""
    patched_fields = patch.model_fields_set
    labels: JsonObject = {TAGS: patch.tags, PEOPLE: patch.people_mentioned, CATEGORY: patch.topic_category}
    patched_labels = {key: value or None for key, value in labels.items() if key in patched_fields}
    try:
        require_same_labels(patched_labels, patch.metadata or {})
    except ValueError as reason:
        raise Invalid(f"{reason}.") from None
    before = {} if "metadata" in patched_fields and patch.metadata is None else memory.details
    details = merge_json(before, {**(patch.metadata or {}), **patched_labels})
    values: dict[str, Any] = {"text": patch.content or None, "metadata": checked(details)}
    if "pinned" in patched_fields:
        values["pinned"] = bool(patch.pinned)
    if {"expires_at", "expires_in_days"} & patched_fields:
        values["expires_at"] = expiry_of(patch.expires_at, patch.expires_in_days)
    return MemoryChange.model_construct(set(values), **values)  # not validated again: the expiry may just have come


def restoring_change(session: Session, memory: Memory, version: int) -> MemoryChange:
    """Return the change that gives the memory the values that it had at `version`, including its pin and expiry.

    Pin and expiry keep their current values if an older server, which did not record them, wrote the version. The
    expiry also stays if the earlier one has passed, so that restoring a memory never deletes it. Raises NotFound.
    """
    state = versions.at(session, memory, version)
    values: dict[str, Any] = {"text": state.content, "metadata": state.details}
    row = session.get(MemoryVersion, (memory.number, version))
    if row is not None and row.pinned is not None:
        values["pinned"] = row.pinned
        if row.expires_at is None or row.expires_at > now():
            values["expires_at"] = row.expires_at
    return MemoryChange.model_construct(
        set(values), **values
    )  # not validated: several messages may be longer than a text


def checked(details: JSON) -> JsonObject:
    """Return merged metadata in stored form. Raises Invalid if it has become too large."""
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


def _has_same_content(session: Session, memory: Memory, version: int) -> bool:
    """Return whether the memory has the text and metadata that it had at `version`, which must still be kept."""
    try:
        seen = versions.at(session, memory, version)
    except NotFound:
        return False
    return seen.content == memory.content and versions.are_same(seen.details, memory.details)
