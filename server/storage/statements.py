"""Statements of the most common requests: compiled once for each database, and run on the driver's own cursor.

For a small query, SQLAlchemy takes ten times as long as SQLite, mostly to build result objects that nobody needs here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm.instrumentation import ClassManager
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, SQLModel

T = TypeVar("T", bound=SQLModel)
V = TypeVar("V")
Statement: TypeAlias = sa.Select[*tuple[Any, ...]] | sa.Insert | sa.Update | sa.Delete | sa.TextClause
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
            if values[position] is not None:
                converted[position] = convert(values[position])
        return converted


@dataclass(frozen=True, slots=True)
class Query:
    """A statement with named parameters only. It has no expanding lists: see `numbers_in`.

    The parameters of an insert are its columns, except the number that the database assigns. A plain query returns its
    rows as the driver does, without converting values, because there may be thousands.
    """

    statement: Statement
    is_plain: bool = False
    _compiled: dict[str, _Compiled] = field(default_factory=dict)

    def rows(self, session: Session, *conditions: sa.ColumnElement[bool], **parameters: Any) -> list[Row]:
        """Return all rows. With more `conditions`, SQLAlchemy compiles and runs the query."""
        if conditions:
            return list(session.execute(self._with(conditions), parameters))
        connection = _connection_of(session)
        compiled = self._in(connection.dialect)
        values = compiled.parameters(parameters)
        with _cursor(connection, compiled.text, values, False) as cursor:
            cursor.execute(compiled.text, values)
            rows = cursor.fetchall() if cursor.description else []
        return [compiled.row(row) for row in rows] if compiled.reads and not self.is_plain else list(rows)

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement for each row of parameters."""
        if rows:
            connection = _connection_of(session)
            compiled = self._in(connection.dialect)
            values = [compiled.parameters(row) for row in rows]
            with _cursor(connection, compiled.text, values, True) as cursor:
                cursor.executemany(compiled.text, values)

    def returned(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Run an insert for each row of parameters. Return the returned values, in the same order."""
        if len(rows) == 1:
            return self.rows(session, **rows[0])
        assert isinstance(self.statement, sa.Insert)  # noqa: S101 - only an insert with RETURNING returns rows
        return list(session.connection().execute(self.statement, rows))

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

    def _in(self, dialect: sa.Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self.statement, dialect)
        return compiled

    def _with(self, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[*tuple[Any, ...]]:
        assert isinstance(self.statement, sa.Select)  # noqa: S101 - conditions are only added to queries, not to text
        return self.statement.where(*conditions)


class _Items(FunctionElement[str]):
    """The items of a JSON list, as a table with the column `value`."""

    inherit_cache = True


@compiles(_Items)
def _on_postgres(items: _Items, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(items.clauses, **options)} AS JSON))"


@compiles(_Items, "sqlite")
def _on_sqlite(items: _Items, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(items.clauses, **options)})"


def as_json(items: Iterable[int | str]) -> str:
    """Return the value of a parameter of `numbers_in` or `texts_in`."""
    return json.dumps(list(items))


def numbers_in(parameter: str) -> sa.Select[int]:
    """Return the numbers of the parameter with this name (see `as_json`) as a subquery."""
    return _listed(sa.bindparam(parameter, type_=sa.String), sa.BigInteger())


def texts_in(parameter: str) -> sa.Select[str]:
    """Like `numbers_in`, for texts."""
    return _listed(sa.bindparam(parameter, type_=sa.String), sa.Text())


def id_subquery(numbers: Iterable[int]) -> sa.Select[int]:
    """Return the numbers as a subquery with a single parameter, so that a statement accepts any number of them."""
    return _listed(sa.bindparam(None, as_json(numbers), sa.String, unique=True), sa.BigInteger())


def _listed(parameter: sa.BindParameter[str], kind: sa.types.TypeEngine[V]) -> sa.Select[V]:
    return sa.select(sa.cast(sa.column("value"), kind)).select_from(_Items(parameter))


def count_rows(
    session: Session, rows: type[SQLModel] | sa.FromClause, *conditions: sa.ColumnExpressionArgument[bool]
) -> int:
    """Return how many rows of the table or subquery meet the conditions."""
    return session.scalar(sa.select(sa.func.count()).select_from(rows).where(*conditions)) or 0


def _connection_of(session: Session) -> sa.Connection:
    bind = session.get_bind()
    return bind if isinstance(bind, sa.Connection) else session.connection()


@contextmanager
def _cursor(connection: sa.Connection, text: str, values: Any, is_many: bool) -> Iterator[DBAPICursor]:
    """Yield the driver's cursor for this statement. SQLAlchemy's listeners and errors still apply."""
    cursor = connection.connection.cursor()
    try:
        connection.dispatch.before_cursor_execute(connection, cursor, text, values, None, is_many)
        yield cursor
        cursor.close()
    except connection.dialect.loaded_dbapi.Error as error:
        connection._handle_dbapi_exception(error, text, values, cursor, None)


@cache
def columns_of(table: type[SQLModel]) -> list[sa.Column[Any]]:
    """Return the columns that `detached` needs, in its order."""
    return list(sa.inspect(table).local_table.columns)


def detached(table: type[T], values: Row) -> T:
    """Return a row as a read-only object: it belongs to no session, so changes to it are not stored."""
    return without_constructor(table, zip(_attributes_of(table), values, strict=False))


def without_constructor(table: type[T], attributes: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> T:
    """Return an object with these attributes and no others, without calling its constructor, which takes ten times as
    long.
    """
    instance: T = _manager_of(table).new_instance()
    instance.__dict__.update(attributes)
    return instance


def values_of(instance: SQLModel) -> dict[str, Any]:
    """Return the parameters of an insert of the object."""
    attributes = instance.__dict__
    return {key: attributes.get(name) for key, name in _given_attributes(type(instance))}


@cache
def _given_attributes(table: type[SQLModel]) -> list[tuple[str, str]]:
    """Return the key and the attribute of each column that an insert gives."""
    given = _given_columns(sa.inspect(table).local_table)
    return [(key, sa.inspect(table).get_property_by_column(column).key) for key, column in given.items()]


def _given_columns(table: sa.Table) -> dict[str, sa.Column[Any]]:
    """Return the columns by key, without the number that the database gives."""
    return {column.key: column for column in table.columns if column is not table.autoincrement_column}


@cache
def _manager_of(table: type[SQLModel]) -> ClassManager[Any]:
    manager: ClassManager[Any] = sa.inspect(table).class_manager
    return manager


@cache
def _attributes_of(table: type[SQLModel]) -> list[str]:
    return [sa.inspect(table).get_property_by_column(column).key for column in columns_of(table)]


def _compile(statement: Statement, dialect: sa.Dialect) -> _Compiled:
    keys = None
    if isinstance(statement, sa.Insert) and isinstance(statement.table, sa.Table):
        keys = list(_given_columns(statement.table))
    compiled = statement.compile(dialect=dialect, column_keys=keys)
    writes = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
    columns = () if isinstance(statement, sa.TextClause) else statement.exported_columns
    types = [column.type.dialect_impl(dialect) for column in columns]
    reads = [(position, type_.result_processor(dialect, None)) for position, type_ in enumerate(types)]
    return _Compiled(
        compiled.string,
        compiled.positiontup if compiled.positional else None,
        {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        {name: convert for name, convert in writes.items() if convert},
        [(position, convert) for position, convert in reads if convert],
    )
