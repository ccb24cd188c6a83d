"""Tests of a table whose rows share what the test starts."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Sequence

Test = Callable[..., Coroutine[None, None, None]]


def rows(names: str | Sequence[str], values: Iterable[object]) -> Callable[[Test], Test]:
    """Run a test once, with one row after another. `pytest.mark.parametrize` starts an app for each row, which takes
    longer than most tests.
    """
    keys = names.replace(" ", "").split(",") if isinstance(names, str) else names
    given = [dict(zip(keys, value if len(keys) > 1 else (value,), strict=True)) for value in values]  # type: ignore[call-overload]  # several keys have a sequence

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        async def run(**fixtures: object) -> None:
            for row in given:
                try:
                    await test(**fixtures, **row)
                except BaseException as error:
                    error.add_note(f"with {row}")
                    raise

        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name not in keys]
        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]  # pytest reads it
        return run

    return decorate
