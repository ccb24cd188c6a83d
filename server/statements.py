"""Queries of the most common requests: compiled once for each database, and run without building objects for rows.

For a small query, SQLAlchemy takes ten times as long as SQLite, mostly to build result objects that nobody needs here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

T = TypeVar("T", bound=SQLModel)
Row = Sequence[Any]
Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A query compiled for one dialect. `order` lists positional parameters, if any; `reads` converts columns."""

    text: str
    order: Sequence[str] | None
    fixed: Mapping[str, Any]
    writes: Mapping[str, Convert]
    reads: Sequence[tuple[int, Convert]]

    def parameters(self, given: Mapping[str, Any]) -> Any:
        values = {**self.fixed, **given}
        for name, convert in self.writes.items():
            values[name] = convert(values[name])
        return values if self.order is None else tuple([values[name] for name in self.order])

    def row(self, values: Row) -> Row:
        converted = list(values)
        for position, convert in self.reads:
            converted[position] = convert(converted[position])
        return converted


@dataclass(frozen=True, slots=True)
class Query:
    """A query with named parameters only. It has no expanding lists: see `numbers_in`. If it is plain, rows come
    straight from the driver, without converting values, because there may be thousands.
    """

    statement: sa.Select[*tuple[Any, ...]] | sa.TextClause
    is_plain: bool = False
    _compiled: dict[str, _Compiled] = field(default_factory=dict)

    def rows(self, session: Session, *conditions: sa.ColumnElement[bool], **parameters: Any) -> list[Row]:
        """Return all rows. With more `conditions`, SQLAlchemy compiles and runs the query."""
        if conditions:
            return list(session.execute(self._with(conditions), parameters))
        bind = session.get_bind()
        connection = bind if isinstance(bind, sa.Connection) else session.connection()
        compiled = self._compiled.get(connection.dialect.name)
        if compiled is None:
            compiled = self._compiled[connection.dialect.name] = _compile(self.statement, connection.dialect)
        result = connection.exec_driver_sql(compiled.text, compiled.parameters(parameters))
        rows: Sequence[Row] = result.cursor.fetchall()
        return [compiled.row(row) for row in rows] if compiled.reads and not self.is_plain else list(rows)

    def row(self, session: Session, **parameters: Any) -> Row | None:
        """Return the only row, or None."""
        rows = self.rows(session, **parameters)
        return rows[0] if rows else None

    def stream(
        self, session: Session, count: int, *conditions: sa.ColumnElement[bool], **parameters: Any
    ) -> Iterator[Row]:
        """Yield the rows, with `count` of them in memory at a time."""
        with session.execute(self._with(conditions), parameters, execution_options={"yield_per": count}) as rows:
            yield from rows

    def _with(self, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[*tuple[Any, ...]]:
        assert isinstance(self.statement, sa.Select)  # noqa: S101 - nobody adds a condition to a text
        return self.statement.where(*conditions)


def columns_of(table: type[SQLModel]) -> list[sa.Column[Any]]:
    """Return the columns that `detached` needs, in its order."""
    return list(sa.inspect(table).local_table.columns)


def detached(table: type[T], values: Row) -> T:
    """Return a row as a read-only object: it belongs to no session, so changes to it are not stored."""
    instance: T = sa.inspect(table).class_manager.new_instance()
    instance.__dict__.update(zip(_attributes_of(table), values, strict=False))
    return instance


@cache
def _attributes_of(table: type[SQLModel]) -> list[str]:
    return [sa.inspect(table).get_property_by_column(column).key for column in columns_of(table)]


def _compile(statement: sa.Select[*tuple[Any, ...]] | sa.TextClause, dialect: sa.Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    writes = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
    columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
    types = [column.type.dialect_impl(dialect) for column in columns]
    reads = [(position, type_.result_processor(dialect, None)) for position, type_ in enumerate(types)]
    return _Compiled(
        compiled.string,
        compiled.positiontup if compiled.positional else None,
        {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        {name: convert for name, convert in writes.items() if convert},
        [(position, convert) for position, convert in reads if convert],
    )
