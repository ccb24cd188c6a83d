"""Which project and which end user a request is about, wherever it says so."""

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, PlainValidator, StringConstraints, WithJsonSchema
from starlette.requests import Request

from rest.http import read_query
from server.domain.memory.metadata import UserId
from server.models.base import JsonObject
from server.runtime import State

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
