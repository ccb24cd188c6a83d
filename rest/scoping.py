"""Which project and which end user a request is about, wherever it says so."""

from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, Field, PlainValidator, StringConstraints, WithJsonSchema
from starlette.requests import Request

from rest.http import read_query
from server.domain.metadata import UserId
from server.errors import Invalid
from server.models.base import JsonObject
from server.runtime import State

Value = TypeVar("Value")
ProjectId = Annotated[str, StringConstraints(min_length=1)]
if TYPE_CHECKING:  # metadata in an answer is what is stored, and was checked when it came
    Object = JsonObject
else:
    Object = Annotated[dict, PlainValidator(lambda value: value), WithJsonSchema({"type": "object"})]


class InProject(BaseModel):
    project_id: ProjectId | None = Field(default=None, description="needed with a session")


class OfUser(InProject):
    user_id: UserId | None = None


def project_in_query(request: Request[State]) -> str | None:
    return read_query(request, InProject).project_id


def agreed(field: str, *given: Value | None) -> Value | None:
    """The one value that is given, anywhere. Raises Invalid for two that differ."""
    values = [value for value in given if value is not None]
    if any(value != values[0] for value in values):
        raise Invalid(f"{field}: is given more than once, with different values.")
    return values[0] if values else None
