"""The sources through which memories are added and changed, as callers read them and filter by them."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import sqlalchemy as sa
from pydantic import AfterValidator
from sqlmodel import col

from server.domain.names import shown_on_one_line
from server.models import Memory
from server.models.base import is_id
from server.models.sources import COMMAND, Source, SourceKind
from server.principal import CredentialKind, Principal

KINDS = {
    CredentialKind.API_KEY: SourceKind.API_KEY,
    CredentialKind.ACCESS_TOKEN: SourceKind.APPLICATION,
    CredentialKind.SESSION: SourceKind.SESSION,
}
PREFIXES = ("key_", "con_", "ses_", "imp_")
"""The ids of sources: API keys, connections of applications, sessions and imports."""

NAME_LENGTH = 100


def source_of(principal: Principal) -> Source:
    """Return the principal's credential as the source of its reads and writes."""
    kind = KINDS[principal.kind]
    return Source(kind.value, principal.credential_id, short_name(principal.credential_name) or "Unnamed")


def source_of_import(import_id: str, original: Source | None) -> Source:
    """Return the source of an imported memory. The source that a file names becomes its name."""
    return Source(SourceKind.IMPORT.value, import_id, short_name(original.name if original else "") or "Import")


def short_name(name: str) -> str:
    return shown_on_one_line(name)[:NAME_LENGTH]


def source_of_command(import_id: str | None) -> Source:
    """Return the source of an event of the command line. The id of an import is the one to revert."""
    return Source(COMMAND, import_id or COMMAND, "Command line")


def parse_filter(value: str, kinds: Sequence[str] = tuple(SourceKind)) -> str:
    """Return the kind or the id of a source. Raises ValueError."""
    if value not in kinds and not any(is_id(prefix, value) for prefix in PREFIXES):
        raise ValueError(f"must be {', '.join(kinds)}, or the id of one")
    return value


BY_SOURCE = "api_key, application, session or import; or the id of one"
SourceFilter = Annotated[str, AfterValidator(parse_filter)]
"""A kind of source, or the id of one."""

ACTIVITY_KINDS = (*SourceKind, COMMAND)
ActivitySourceFilter = Annotated[str, AfterValidator(partial(parse_filter, kinds=ACTIVITY_KINDS))]
"""Like `SourceFilter`, and the command line."""


def parse_id(value: str) -> str:
    """Return the id of a source. Raises ValueError."""
    if not any(is_id(prefix, value) for prefix in PREFIXES):
        raise ValueError("must be the id of a source")
    return value


SourceId = Annotated[str, AfterValidator(parse_id)]


def source_conditions(kind_or_id: str) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for memories of this kind of source, or of the source with this id."""
    if kind_or_id in list(SourceKind):
        return [col(Memory.source_kind) == kind_or_id]
    # The condition includes the kind, so that the database can use the index.
    return [col(Memory.source_kind).in_(list(SourceKind)), col(Memory.source_id) == kind_or_id]
