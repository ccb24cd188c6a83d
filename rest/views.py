"""Types that several answers share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from server.models.base import JsonObject

if TYPE_CHECKING:
    StoredObject = JsonObject
else:
    StoredObject = Annotated[dict, PlainValidator(lambda value: value), WithJsonSchema({"type": "object"})]
"""A JSON object from the database. It was validated when it was stored, so an answer does not validate it again."""


def left_out_if(default: object, description: str | None = None) -> Any:
    """Return a field with this default. An answer leaves out a field that has it."""
    return Field(default=default, exclude_if=lambda value: value == default, description=description)


IsSet = Annotated[bool, BeforeValidator(lambda value: value is not None)]
"""Whether a column of the row has a value."""


class OfRow(BaseModel):
    """A view whose fields are those of a row, by name or by `validation_alias`."""

    @classmethod
    def of(cls, row: object, **others: object) -> Self:
        """Return the view of the row. `others` are fields that the row does not have."""
        return cls.model_validate(_Joined(row, others) if others else row, from_attributes=True)


class _Joined:
    """A row with other attributes, which win over its own."""

    def __init__(self, row: object, others: Mapping[str, object]) -> None:
        self._row, self._others = row, others

    def __getattr__(self, name: str) -> object:
        return self._others[name] if name in self._others else getattr(self._row, name)


class Creation(BaseModel):
    """The body of a creation. Keeps unknown fields, so that the answer can name them."""

    model_config = ConfigDict(extra="allow")


class Change(BaseModel):
    """The body of a change, deletion or search. Refuses unknown fields: ignoring one could affect the wrong data."""

    model_config = ConfigDict(extra="forbid")


class Created(BaseModel):
    """The answer to a creation."""

    warnings: list[str] = left_out_if([], "unknown fields that were sent, each with the field that was probably meant")
