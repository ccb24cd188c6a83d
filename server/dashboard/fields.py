"""From what a form's fields say to the domain's own types, with reasons in the form's words."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS
from server.errors import Invalid, ServiceError
from server.models.base import JSON, JsonObject
from server.wire import invalid

Model = TypeVar("Model", bound=BaseModel)
Choice = TypeVar("Choice", bound=StrEnum)

LABELLED = (TAGS, PEOPLE, CATEGORY)
"""Metadata with a field of its own; everything else is edited as JSON."""

NAMES = {
    "content": "Text",
    "text": "Text",
    "metadata": "Other details",
    "user_id": "End user",
    "q": "Search",
    "user": "End user",
    "when": "When",
    "temporal_filter": "When",
    "timezone": "Time zone",
    "name": "Name",
    "email": "E-mail address",
    "password": "New password",
    "current": "Password now",
}
"""What a field is called on the pages, by what it is called elsewhere."""


def with_field_label(error: ServiceError) -> str:
    """The sentence, beginning with the field's name as it is on the page."""
    if isinstance(error, Invalid) and error.field in NAMES:
        return f"{NAMES[error.field]}: {error.reason}"
    return error.detail


def checked(model: type[Model], value: Mapping[str, object]) -> Model:
    """Raises Invalid: which field, and why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problem = invalid(error)
        names = [part for part in (problem.field or "").split(".") if part and not part.isdecimal()] or ["This"]
        raise Invalid(problem.reason, field=NAMES.get(names[-1], names[-1].capitalize())) from None


def choice(kind: type[Choice], name: str, text: str) -> Choice:
    """One of a list. Raises Invalid."""
    try:
        return kind(text)
    except ValueError:
        raise Invalid("Choose one of the list.", field=name) from None


def metadata_of(fields: Mapping[str, str], before: JsonObject) -> JsonObject:
    """The metadata that a form's fields mean; an empty field removes only what said something. Raises Invalid."""
    details = _object(fields["more"])
    for key in LABELLED:
        value = fields[key].strip()
        if value:
            details[key] = value
        elif key in before and not before[key]:
            details[key] = before[key]
    return details


def other_details(details: JsonObject) -> JsonObject:
    """What has no field of its own."""
    return {key: value for key, value in details.items() if key not in LABELLED}


def label(details: JsonObject, key: str) -> str:
    """A labelled value as it stands in its field."""
    value = details.get(key)
    return value if isinstance(value, str) else ""


def _object(text: str) -> JsonObject:
    if not text.strip():
        return {}
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid('Write a JSON object such as {"source": "notes"}.', field=NAMES["metadata"]) from None
    if not isinstance(value, dict) or set(value) & set(LABELLED):
        raise Invalid("Tags, people and category have fields of their own.", field=NAMES["metadata"])
    return {**value}
