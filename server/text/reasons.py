"""Our sentences for pydantic's validation errors."""

import re

from pydantic_core import ErrorDetails

from server.text.json_text import LONE_SURROGATE

NOT_A_MOMENT = "must be an ISO 8601 date or time such as 2026-02-22T10:30:00Z"
REASONS = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": LONE_SURROGATE,
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have at most {max_length} characters",
    "list_type": "must be a list",
    "too_short": "must have {min_length} or more items",
    "too_long": "must have at most {max_length} items",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "datetime_type": NOT_A_MOMENT,
}
"""Our words for pydantic's error types. Its own messages are for programmers."""


_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""A member of an enumeration, as pydantic names the values of a Literal."""

ID_PATTERN = re.compile(r"\^([a-z]+_)\[0-9a-f\]\{32\}\$")
FORMS = {r"^[^\x00-\x1f\x7f]+$": "must be one line, without control characters"}
"""Our words for the patterns of fields, other than those of ids."""


def reason_of(problem: ErrorDetails) -> str:
    """Return the reason without the field and without a period at its end."""
    context = problem.get("ctx", {})
    if problem["type"] == "string_pattern_mismatch":
        return _form_of(context["pattern"])
    if problem["type"] in REASONS:
        return _MEMBER.sub(r"\1", REASONS[problem["type"]].format_map(context))
    return problem["msg"].removeprefix("Value error, ").rstrip(".")


def _form_of(pattern: str) -> str:
    """Return a description of texts that match the pattern."""
    if known := ID_PATTERN.fullmatch(pattern):
        return f"must be an id: {known[1]} and 32 of the characters 0-9 and a-f"
    return FORMS.get(pattern, f"must match the pattern {pattern}")
