"""Types that several answers share."""

from typing import TYPE_CHECKING, Annotated

from pydantic import PlainValidator, WithJsonSchema

from server.models.base import JsonObject

if TYPE_CHECKING:
    StoredObject = JsonObject
else:
    StoredObject = Annotated[dict, PlainValidator(lambda value: value), WithJsonSchema({"type": "object"})]
"""A JSON object from the database. It was validated when it was stored, so an answer does not validate it again."""
