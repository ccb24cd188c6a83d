"""Properties of the OAuth form and query parser that hold for any input: fields or an OAuth error, never a crash."""

from contextlib import suppress
from urllib.parse import urlencode

import pytest
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from oauth.requests import MAX_FIELDS, Fields, canonical, fields_of, query_of
from server.shell.runtime import State

FORM_LIKE = st.text("ab=&%+;0fF\x00\r\n é", max_size=60)
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\x7f"), min_size=1, max_size=8)


def request_of(query: bytes) -> Request[State]:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": query})


def require_clean(fields: Fields) -> None:
    """Every name has a value, and nothing holds a control character."""
    assert sum(map(len, fields.values())) <= MAX_FIELDS
    for name, values in fields.items():
        assert values
        assert all(values)
        assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in name + "".join(values))


@given(st.one_of(st.text(), FORM_LIKE))
def test_any_text_gives_fields_or_an_oauth_error(text: str) -> None:
    with suppress(InvalidRequestError):
        require_clean(fields_of(text))


@given(st.binary(max_size=200))
def test_any_bytes_of_a_query_give_fields_or_an_oauth_error(query: bytes) -> None:
    with suppress(InvalidRequestError):
        require_clean(fields_of(query_of(request_of(query))))


@given(st.dictionaries(PRINTABLE, st.lists(PRINTABLE, min_size=1, max_size=3), max_size=5))
def test_what_a_client_encodes_is_read_back(fields: Fields) -> None:
    assert fields_of(urlencode(fields, doseq=True)) == fields


@given(st.integers(MAX_FIELDS + 1, MAX_FIELDS + 50))
def test_too_many_fields_are_refused(count: int) -> None:
    with pytest.raises(InvalidRequestError):
        fields_of("&".join(["a=1"] * count))


@given(st.text())
def test_no_resource_crashes_the_comparison(resource: str) -> None:
    assert canonical(canonical(resource)) == canonical(resource)
