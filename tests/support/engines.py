"""SQL engines that share their compiled statements."""

import functools
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import Compiled


class _Statements(dict[tuple[Any, ...], Compiled]):
    """What was compiled for any engine. SQLAlchemy's keys begin with the dialect of one engine."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: tuple[Any, ...], compiled: Compiled) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)


statements = _Statements()


def sharing_statements(make: Callable[..., sa.Engine]) -> Callable[..., sa.Engine]:
    """Let the engines that `make` returns look for compiled statements in one place."""

    @functools.wraps(make)
    def make_sharing(*arguments: Any, **options: Any) -> sa.Engine:
        engine = make(*arguments, **options)
        engine.update_execution_options(compiled_cache=statements)
        return engine

    return make_sharing
