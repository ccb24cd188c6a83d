"""Suggests a known name for an unknown one: finds the nearest of our names, and writes the sentence."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice

from pydantic import AliasChoices, BaseModel

NAME_LENGTH = 60
"""An unknown name in a sentence is cut to this length, since callers choose it."""

PATH_LENGTH = 200
"""The path of a field in a sentence is cut to this length, since callers choose the keys of metadata."""

ALMOST_THE_SAME = 0.85
"""A name this similar (`difflib`) wins over one that matches by `OTHER_NAMES`."""

MOST_UNKNOWN = 20
"""An answer lists at most this many unknown names of one object."""

OTHER_NAMES = {
    "limit": "top_k k n n_results count size max max_results num_results page_size per_page first",
    "offset": "skip start page cursor",
    "query": "q question search text keywords semantic_query",
    "content": "text memory message messages note body data information fact value observation observations",
    "messages": "conversation turns",
    "role": "type author speaker from",
    "filters": "filter where",
    "tags": "tag label labels keywords",
    "match_all_tags": "match_all all_tags and_tags",
    "people_mentioned": "people person persons names mentioned",
    "topic_category": "category topic categories type",
    "temporal_filter": "when date time period temporal_query time_range date_range time_expr timeframe",
    "timezone": "tz time_zone",
    "created_after": "after since from start start_date date_from created_from after_date",
    "created_before": "before until to end end_date date_to created_until before_date",
    "created_at": "created date time timestamp when",
    "metadata": "meta filter filters properties attributes details title source importance priority",
    "threshold": "score min_score minimum_score score_threshold similarity_threshold",
    "sort_by": "sort order order_by",
    "user_id": "user end_user userid",
    "project_id": "project projectid",
    "organization_id": "organization org org_id organizationid",
    "source": "source_id",
    "id": "memory_id memory ids uuid url uri",
    "permissions": "scopes scope permission",
    "expires_at": "expiration_date expiration expiry expires expire_at expires_on valid_until",
    "expires_in_days": "expires expires_at expiration ttl",
    "name": "title label",
    "email": "mail address e_mail",
}
"""Our names, each with the names that other services use."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is probably meant, or None."""
    candidates = list(names)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s-]+", "_", name.strip()[:NAME_LENGTH]).casefold()
    if almost := get_close_matches(plain, candidates, n=1, cutoff=ALMOST_THE_SAME):
        return almost[0]
    by_another_name = next((name for name in candidates if plain in OTHER_NAMES.get(name, "").split()), None)
    if by_another_name or plain.endswith("_id"):  # the ids of other things are alike: run_id is no user_id
        return by_another_name
    return next(iter(get_close_matches(plain, candidates, n=1)), None)


def wrong_name_hint(names: Sequence[str], names_sent: Iterable[str]) -> str:
    """Return "; <name> is not a field" for the first unknown name that was probably sent instead of one of `names`, or
    "". Looks at `MOST_UNKNOWN` names, because each takes 20 microseconds, and a body can have 10,000.
    """
    unknown = islice((name for name in names_sent if name not in names), MOST_UNKNOWN)
    misnamed = next((name for name in unknown if nearest(name, names)), None)
    return f"; {shortened(misnamed)} is not a field" if misnamed else ""


def not_a(kind: str, name: str, names: Iterable[str]) -> str:
    """Return "is not a <kind>", and the name that is probably meant."""
    suggestion = nearest(name, names)
    return f"is not a {kind}; did you mean {suggestion}?" if suggestion else f"is not a {kind}."


def shortened(name: str) -> str:
    """Return an unknown name on one line, cut to `NAME_LENGTH`."""
    return " ".join(name.split())[:NAME_LENGTH]


def field_of(path: Iterable[str | int]) -> str | None:
    """Return the path of a field on one line, cut to `PATH_LENGTH`. None for the whole body."""
    return ".".join(shortened(str(part)) for part in path)[:PATH_LENGTH] or None


def names_of(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields, as callers write them. A field may have several."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        written = field.validation_alias or name
        names += [str(choice) for choice in written.choices] if isinstance(written, AliasChoices) else [str(written)]
    return names


def warnings_of(model: BaseModel, path: str = "") -> Iterator[str]:
    """Yield a sentence for each unknown field of the model, and of the models in its lists.

    The models allow extra fields, and callers must learn which ones were ignored.
    """
    unknown = list(model.model_extra or ())
    if unknown:
        known = names_of(type(model))
        yield from (f"{path}{shortened(name)}: {not_a('field', name, known)}" for name in unknown[:MOST_UNKNOWN])
    if len(unknown) > MOST_UNKNOWN:
        yield f"{path or 'and '}{len(unknown) - MOST_UNKNOWN} more fields are unknown."
    for name in type(model).model_fields:
        items = getattr(model, name)
        for place, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, BaseModel):
                yield from warnings_of(item, f"{path}{name}.{place}.")
