"""Converts form fields to the domain's types, and names fields in errors by their labels on the page."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from server.domain.memory.labels import CATEGORY, PEOPLE, TAGS, as_text, like, parse_list
from server.errors import Invalid, ServiceError
from server.models.base import JSON, JsonObject
from server.web.wire import invalid

Model = TypeVar("Model", bound=BaseModel)
Choice = TypeVar("Choice", bound=StrEnum)

LABEL_KEYS = (TAGS, PEOPLE, CATEGORY)
"""Metadata keys with their own form field. `server.dashboard.details` makes rows of the others."""

MAX_DIGITS = 9
"""A number with more digits is ignored: no position, version or count is as large."""

PERIOD = "When"
"""The label of periods. People write them with spaces (`last week`), programs also with underscores."""

FIELD_LABELS = {
    "content": "Text",
    "text": "Text",
    "metadata": "Other details",
    "people_mentioned": "People",
    "topic_category": "Category",
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


def whole_number(text: str) -> int | None:
    """Return the number in a form or an address, or None if the text is not one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else None


def labels_of(fields: Mapping[str, str], before: JsonObject) -> JsonObject:
    """Return the labels in a form. Raises Invalid. A label whose field was not edited keeps its value in `before`."""
    labels: JsonObject = {}
    for key in LABEL_KEYS:
        text = fields[key].strip()
        if text == label_text(before, key).strip():
            labels |= {key: before[key]} if key in before else {}
        elif text:
            labels[key] = text if key == CATEGORY else _list_of(key, text, before)
    return labels


def other_details(details: JsonObject) -> JsonObject:
    """Return the metadata without the labels."""
    return {key: value for key, value in details.items() if key not in LABEL_KEYS}


def label_text(details: JsonObject, key: str) -> str:
    """Return a label as its form field shows it: a list with commas, or as JSON if an item has a comma."""
    value = details.get(key)
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    return as_text([*map(str, value)])


def _list_of(key: str, text: str, before: JsonObject) -> JSON:
    try:
        values = parse_list(text)
    except ValueError as reason:
        raise Invalid(f"{reason}.", field=field_label(key)) from None
    return like(before.get(key), values)
