"""The source of a memory: an API key, an application, a browser session or an import."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import types


class SourceKind(StrEnum):
    API_KEY = "api_key"
    APPLICATION = "application"
    SESSION = "session"
    IMPORT = "import"


COMMAND = "command"
"""The kind of source of what the command line does. It is in the activity only: no memory has it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A credential or an import, with the name that it had at the time."""

    kind: str
    id: str
    name: str


class SourceColumn(types.TypeDecorator[Source]):
    """A source as JSON. NULL if an older server stored the row."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Source | None, _dialect: sa.Dialect) -> Any:
        return None if value is None else asdict(value)

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> Source | None:
        return None if value is None else Source(**value)
