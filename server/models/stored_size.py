"""The size of a memory in bytes, for the quota of its project: text, metadata and messages, as SQL stores them.

Python and SQL give the same number. SQL computes it for deletions, and for whole projects.
"""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import col

from server.models.base import JsonObject
from server.models.memories import Memory


class _Octets(FunctionElement[int]):
    """The length of a value's text in bytes. SQLite has no octet_length before 3.43."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(_Octets)
def _on_postgres(element: _Octets, compiler: SQLCompiler, **options: Any) -> str:
    return f"octet_length(CAST({compiler.process(element.clauses, **options)} AS TEXT))"


@compiles(_Octets, "sqlite")
def _on_sqlite(element: _Octets, compiler: SQLCompiler, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


STORED_SIZE: sa.ColumnElement[int] = (
    _Octets(col(Memory.content))
    + _Octets(col(Memory.details))
    + sa.func.coalesce(_Octets(sa.func.nullif(sa.cast(col(Memory.messages), sa.Text), "null")), 0)
)
"""The size of each row of `memories`. A JSON null and no value both mean no messages."""

TOTAL_SIZE: sa.ColumnElement[int] = sa.func.coalesce(sa.cast(sa.func.sum(STORED_SIZE), sa.BigInteger), 0)


def size_of_memory(memory: Memory) -> int:
    return stored_size(memory.content, memory.details, memory.messages)


def stored_size(content: str, details: JsonObject, messages: list[dict[str, str]] | None) -> int:
    return len(content.encode()) + len(json.dumps(details)) + (0 if messages is None else len(json.dumps(messages)))
