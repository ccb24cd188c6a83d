"""Converts form fields to the domain's types, and names fields in errors by their labels on the page."""

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

LABEL_KEYS = (TAGS, PEOPLE, CATEGORY)
"""Metadata keys with their own form field. All other metadata is edited as JSON."""

PERIOD = "When"
"""The label of periods. People write them with spaces (`last week`), programs also with underscores."""

FIELD_LABELS = {
    "content": "Text",
    "text": "Text",
    "metadata": "Other details",
    "user_id": "End user",
    "q": "Search",
    "user": "End user",
    "when": PERIOD,
    "temporal_filter": PERIOD,
    "timezone": "Time zone",
    "name": "Name",
    "email": "Email address",
    "password": "New password",
    "current": "Current password",
    "code": "Code",
    "ids": "Selected memories",
    "target": "Project",
    "project_id": "Project",
    "organization_id": "Organization",
}
"""The labels on the pages, by the field names that the domain and the forms use."""


def with_field_label(error: ServiceError) -> str:
    """Return the error's sentence, with the field's label before it if the error is about a field."""
    if isinstance(error, Invalid) and error.field:
        label = field_label(error.field)
        return f"{label}: {error.reason.replace('_', ' ') if label == PERIOD else error.reason}"
    return error.detail


def field_label(field: str) -> str:
    """Return the label of a field, which may be the last part of a path."""
    names = [part for part in field.split(".") if part and not part.isdecimal()] or ["This"]
    name = names[-1].replace("_", " ")
    return FIELD_LABELS.get(names[-1], name[:1].upper() + name[1:])


def parse_fields(model: type[Model], values: Mapping[str, object]) -> Model:
    """Return the values as the model. Raises Invalid, which names the field by its label."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = invalid(error, model)
        raise Invalid(problem.reason, field=field_label(problem.field or "")) from None


def parse_choice(choices: type[Choice], label: str, text: str) -> Choice:
    """Return the member of `choices` with this value. Raises Invalid."""
    try:
        return choices(text)
    except ValueError:
        raise Invalid("choose one of the options.", field=label) from None


def metadata_of(fields: Mapping[str, str], before: JsonObject) -> JsonObject:
    """Return the metadata in a form. Raises Invalid. An empty field removes a label, except one that was already empty
    in `before`: that is not a change.
    """
    details = _json_object(fields["more"])
    for key in LABEL_KEYS:
        value = fields[key].strip()
        if value:
            details[key] = value
        elif key in before and not before[key]:
            details[key] = before[key]
    return details


def other_details(details: JsonObject) -> JsonObject:
    """Return the metadata without the labels."""
    return {key: value for key, value in details.items() if key not in LABEL_KEYS}


def label_text(details: JsonObject, key: str) -> str:
    """Return a label as its form field shows it."""
    value = details.get(key)
    return value if isinstance(value, str) else ""


def _json_object(text: str) -> JsonObject:
    if not text.strip():
        return {}
    try:
        value: JSON = json.loads(text)
    except (ValueError, RecursionError):
        raise _not_an_object() from None
    if not isinstance(value, dict):
        raise _not_an_object()
    if set(value) & set(LABEL_KEYS):
        raise Invalid("enter tags, people and category in their own fields.", field=FIELD_LABELS["metadata"])
    return {**value}


def _not_an_object() -> Invalid:
    return Invalid('enter a JSON object such as {"source": "notes"}.', field=FIELD_LABELS["metadata"])
