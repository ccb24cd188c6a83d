"""Invalid requests get one sentence that names the field, and store nothing."""

from collections.abc import AsyncIterator

import pytest

from tests.rest.conftest import Caller, said
from tests.support.tables import rows

pytestmark = pytest.mark.sqlite_only

DEEP: dict[str, object] = {}
for _ in range(40):
    DEEP = {"x": DEEP}


TOO_LONG = "has 10,001 characters, and a memory or message holds at most 10,000: split it into several"


NO_TEXT = "messages: must have at least one message with text."
PARTS = 'must be text, or a list of parts such as {"type": "text", "text": "Hello"}'


BAD_MEMORIES: list[tuple[object, str]] = [
    ({}, "content or messages: give exactly one of them."),
    ([], "The body must be a JSON object."),
    ({"messages": []}, "messages: must have 1 or more items."),
    ({"messages": "hello"}, "messages: must be a list."),
    ({"messages": ["hello"]}, "messages.0: must be a JSON object."),
    ({"messages": [{"content": "x"}]}, "messages.0.role: is required."),
    ({"messages": [{"role": "user"}]}, "messages.0.content: is required."),
    ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content: must be text."),
    (
        {"messages": [{"role": "u\nv", "content": "x"}]},
        "messages.0.role: must be one line, without control characters.",
    ),
    ({"messages": [{"role": "user", "content": "x"}] * 101}, "messages: must have at most 100 items."),
    (said(""), "messages.0.content: must not be blank."),
    (said(" \n\t"), "messages.0.content: must not be blank."),
    (said(None), "messages.0.content: is required."),
    ({"messages": [{"role": "assistant", "tool_calls": []}]}, "messages.0.content: is required."),
    ({"messages": [{"role": "assistant", "tool_calls": [{"id": "call_1"}]}]}, NO_TEXT),
    (said([{"type": "image_url", "image_url": {"url": "x"}}]), NO_TEXT),
    (said({"type": "image_url", "image_url": {"url": "x"}}), NO_TEXT),
    (said([]), "messages.0.content: must not be blank."),
    (said([7]), f"messages.0.content: {PARTS}."),
    (said([{"text": "x"}]), f"messages.0.content: {PARTS}."),
    (said([{"type": "text", "text": None}]), f"messages.0.content: {PARTS}."),
    (said("x" * 10_001), f"messages.0.content: {TOO_LONG}."),
    (said("x\0y"), "messages.0.content: NUL characters and infinite numbers cannot be stored."),
    (said("x", metadata=[]), "metadata: must be a JSON object."),
    (said("x", metadata={str(n): n for n in range(65)}), "metadata: must have at most 64 keys."),
    (said("x", metadata={"text": "x" * 16_384}), "metadata: must be at most 16 KB."),
    (said("x", metadata=DEEP), "metadata: must not be nested deeper than 32."),
    (said("x", metadata={"tags": 7}), "metadata: tags must be comma-separated text or a list of strings."),
    (said("x", metadata={"tags": [1]}), "metadata: tags must be comma-separated text or a list of strings."),
    (said("x", metadata={"topic_category": ["a"]}), "metadata: topic_category must be text."),
    (said("x", user_id=""), "user_id: must have 1 or more characters."),
    (said("x", user_id="u" * 201), "user_id: must have at most 200 characters."),
    (said("x", project_id=7), "project_id: must be text."),
    (said("x", project_id=""), "project_id: must have 1 or more characters."),
    (said("x", metadata={"a": [{"b": "\0"}]}), "metadata.a.0.b: NUL characters and infinite numbers cannot be stored."),
    (said("x", metadata={"a": {"\0": 1}}), "metadata.a: NUL characters and infinite numbers cannot be stored."),
    ({"\0": 1}, "NUL characters and infinite numbers cannot be stored."),
    (said("x", created_at="2999-01-01"), "created_at: must be a time between 1970 and now."),
    (said("x", created_at="1969-12-31"), "created_at: must be a time between 1970 and now."),
    (said("x", created_at="1"), "created_at: must be an ISO 8601 date or time such as 2026-02-22T10:30:00Z."),
    (said("x", created_at=1), "created_at: must be an ISO 8601 date or time such as 2026-02-22T10:30:00Z."),
]


async def test_an_invalid_memory_is_refused_with_its_field(api: Caller) -> None:
    for body, sentence in BAD_MEMORIES:
        refused = await api.post("/api/memories", body)
        assert (refused.status_code, refused.json()) == (400, {"detail": sentence})
    assert await api.listed() == []


async def test_values_that_json_cannot_represent_are_refused(api: Caller) -> None:
    for text in ("NaN", "Infinity", "-Infinity", "1e999", r'"\ud800"', r'"\u0000"', "1" * 5000):
        body = f'{{"messages": [{{"role": "user", "content": "x"}}], "metadata": {{"value": {text}}}}}'
        headers = {**api.headers, "content-type": "application/json"}
        refused = await api.client.post("/api/memories", content=body, headers=headers)
        assert refused.status_code == 400, text
    assert await api.listed() == []


async def test_r14_deep_nesting_is_refused(api: Caller) -> None:
    headers = {**api.headers, "content-type": "application/json"}
    for opening, closing in (("[", "]"), ('{"x":', "}")):
        body = f'{{"messages": {opening * 10_000}{closing * 10_000}}}'
        refused = await api.client.post("/api/memories", content=body, headers=headers)
        assert refused.status_code == 400
    assert await api.listed() == []


async def test_unknown_fields_are_ignored(api: Caller) -> None:
    await api.add("x", infer=True, agent_id="a", metadata=None)
    assert await api.listed() == ["x"]


BAD_PAGES = [
    ("limit=0", "limit: must be at least 1."),
    ("limit=1001", "limit: must be at most 1000."),
    ("limit=ten", "limit: must be a whole number."),
    ("limit=1.5", "limit: must be a whole number."),
    ("offset=-1", "offset: must be at least 0."),
    ("offset=99999999999999999999", "offset: must be at most 1000000000."),
    ("before=yesterday", "before: must be an id: mem_ and 32 of the characters 0-9 and a-f."),
    ("match_all_tags=perhaps", "match_all_tags: must be true or false."),
    ("user_id=", "user_id: must have 1 or more characters."),
    ("limit=1&limit=2", "limit: is given more than once, with different values."),
    ("user_id=ann&user_id=ben", "user_id: is given more than once, with different values."),
    ("user_id=%00", "user_id: NUL characters and infinite numbers cannot be stored."),
]


async def test_an_invalid_page_is_refused_with_its_field(api: Caller) -> None:
    for query, sentence in BAD_PAGES:
        refused = await api.get(f"/api/memories?{query}")
        assert (refused.status_code, refused.json()) == (400, {"detail": sentence})


async def test_delete_all_with_an_invalid_user_deletes_nothing(api: Caller) -> None:
    await api.add("stays")
    for query, body in (
        ("?user_id=", None),
        ("?user_id=ann&user_id=ben", None),
        ("?user_id=ann", {"user_id": "ben"}),
        ("", {"user_id": 7}),
        ("", ["ann"]),
    ):
        assert (await api.send("DELETE", f"/api/memories{query}", body)).status_code == 400
    not_json = await api.client.request("DELETE", "/api/memories", content="user_id=ann", headers=api.headers)
    assert not_json.status_code == 415
    assert await api.listed() == ["stays"]


async def test_delete_all_takes_the_user_from_the_body_too(api: Caller) -> None:
    for user in ("ann", "ben"):
        await api.add(f"of {user}", user_id=user)
    deleted = await api.send("DELETE", "/api/memories", {"user_id": "ann"})
    assert (deleted.status_code, deleted.json()["deleted_count"]) == (200, 1)
    assert await api.listed() == ["of ben"]


async def test_an_empty_or_invalid_change_is_refused(api: Caller) -> None:
    memory_id = await api.add("as it was")
    bodies: list[dict[str, object]] = [{}, {"text": None}, {"text": " "}, {"text": 1}, {"metadata": []}, {"other": "x"}]
    for body in bodies:
        assert (await api.put(f"/api/memories/{memory_id}", body)).status_code == 400
    assert len((await api.get(f"/api/memories/{memory_id}/history")).json()["results"]) == 1


async def test_r14_a_batch_has_one_to_a_thousand_memories(api: Caller) -> None:
    for memories in (None, [], [said("x")] * 1001, "x"):
        assert (await api.post("/api/memories/batch", {"memories": memories})).status_code == 400
    assert await api.listed() == []


async def test_r14_a_body_too_large_or_not_json_is_refused(api: Caller) -> None:
    refused = await api.post("/api/memories", said("x", filler="x" * 100_000))
    assert (refused.status_code, refused.json()) == (413, {"detail": "The body is larger than 100 KB."})
    many = {"memories": [said("x" * 9_000)] * 20}
    assert (await api.post("/api/memories/batch", many)).status_code == 200
    refused = await api.client.post("/api/memories", content="messages=x", headers=api.headers)
    assert refused.status_code == 415
    refused = await api.post("/api/memories", said("x"), Content_Encoding="gzip")
    assert refused.status_code == 415
    assert refused.json() == {"detail": "Send the body uncompressed, without Content-Encoding."}
    headers = {**api.headers, "content-type": "application/json"}
    refused = await api.client.post("/api/memories", content="{", headers=headers)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("The body is not valid JSON")


BROKEN: list[tuple[bytes, str]] = [
    (b"NaN", "contains NaN or Infinity, which JSON does not have."),
    (b"[1, -Infinity]", "contains NaN or Infinity, which JSON does not have."),
    (b"1e999", "NUL characters and infinite numbers cannot be stored."),
    (b'"\\ud83d"', "must be text without lone surrogates."),
    (b"[" * 40_000, "is nested too deeply."),
    (b"9" * 5_000, "has too many digits."),
    (b'"caf\xe9"', "must be UTF-8 text."),
    (b'"C:\\Users"', "has an escape that JSON does not have: write the backslash twice."),
    (b'"a\nb"', "has a line break or control character: write it as an escape, such as \\n."),
]
PLACES: list[tuple[str, str, bytes, str]] = [
    ("POST", "/api/memories", b'{"content": THIS}', "content"),
    ("POST", "/api/memories", b'{"content": "x", "metadata": {"a": {"b": THIS}}}', "metadata.a.b"),
    ("POST", "/api/memories/batch", b'{"memories": [{"content": "x"}, {"content": THIS}]}', "memories.1.content"),
    ("POST", "/api/memories/search", b'{"query": "x", "filters": {"tags": THIS}}', "filters.tags"),
    ("DELETE", "/api/memories", b'{"user_id": THIS}', "user_id"),
]


async def test_what_is_no_json_is_refused_with_its_field(api: Caller) -> None:
    await api.add("stays")
    for method, path, body, field in PLACES:
        for written, reason in BROKEN:
            headers = {**api.headers, "Content-Type": "application/json"}
            content = body.replace(b"THIS", written)
            refused = await api.client.request(method, path, content=content, headers=headers)
            place = f"{field}.1" if written.startswith(b"[1") else field
            assert (refused.status_code, refused.json()) == (400, {"detail": f"{place}: {reason}"})
    assert await api.listed() == ["stays"]


@rows(
    ("body", "sentence"),
    [
        (b"", "The body is empty."),
        ('{"content": "x"}'.encode("utf-16"), "The body must be UTF-8 text."),
        (
            b"'{content:x}'",
            "The body begins with a single quote, which a Windows shell passes on: send it from a file.",
        ),
        (b"{ 'content': 'x'}", "The body is not valid JSON: write names and texts in double quotes."),
        (b'{"content": "x', "The body is not valid JSON: EOF while parsing a string."),
        (b'{"content": "x" "NaN"', "The body is not valid JSON: expected `,` or `}`."),
        (b'{"content": "x", NaN: 1}', "The body is not valid JSON: key must be a string."),
        (b'"\\ud83d"', "The body must be text without lone surrogates."),
        (b'{"content": "x", "\\ud83d": 1}', "The body must be text without lone surrogates."),
    ],
)
async def test_what_has_no_place_is_refused_too(api: Caller, body: bytes, sentence: str) -> None:
    headers = {**api.headers, "Content-Type": "application/json"}
    refused = await api.client.post("/api/memories", content=body, headers=headers)
    assert (refused.status_code, refused.json()) == (400, {"detail": sentence})


async def test_a_byte_order_mark_is_skipped(api: Caller) -> None:
    headers = {**api.headers, "Content-Type": "application/json"}
    body = b"\xef\xbb\xbf" + b'{"content": "from a file of Windows"}'
    assert (await api.client.post("/api/memories", content=body, headers=headers)).status_code == 200


@rows("written", [r'["\ud83d"]', r'["a\u0000b"]', f'["{"x" * 300}\\ud83d"]'])
async def test_the_json_text_of_a_list_holds_no_character_that_cannot_be_stored(api: Caller, written: str) -> None:
    reason = "must not contain NUL characters or lone surrogates."
    for path, body, field in (
        ("/api/memories", {"content": "x", "tags": written}, "tags: "),
        ("/api/memories", {"content": "x", "metadata": {"people_mentioned": written}}, "metadata: people_mentioned "),
        ("/api/memories/search", {"query": "x", "filters": {"tags": written}}, "filters.tags: "),
        ("/v1/memories/people-search/", {"people": written}, "people: "),
    ):
        refused = await api.post(path, body)
        assert (refused.status_code, refused.json()) == (400, {"detail": f"{field}{reason}"})
    refused = await api.client.get("/api/memories", params={"tags": written}, headers=api.headers)
    assert (refused.status_code, refused.json()) == (400, {"detail": f"tags: {reason}"})


async def test_a_parameter_is_utf_8(api: Caller) -> None:
    await api.add("stays", user_id="Zoë")
    for method, query in (("GET", "user_id=Zo%EB"), ("GET", "tags=a&tags=%ff"), ("DELETE", "user_id=Zo%EB")):
        refused = await api.send(method, f"/api/memories?{query}")
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith("The query string must be UTF-8 text")
    assert await api.listed("?user_id=Zo%C3%AB") == ["stays"]


async def test_true_is_no_version(api: Caller) -> None:
    refused = await api.post(f"/api/memories/{await api.add('x')}/restore", {"version": True})
    assert (refused.status_code, refused.json()) == (400, {"detail": "version: must be a number."})


async def test_a_patch_may_name_its_own_media_type(api: Caller) -> None:
    """RFC 7396 section 4."""
    path = f"/api/memories/{await api.add('x')}"
    headers = {**api.headers, "Content-Type": "application/merge-patch+json"}
    changed = await api.client.patch(path, content=b'{"tags": ["a"]}', headers=headers)
    assert (changed.status_code, changed.json()["metadata"]) == (200, {"tags": ["a"]})
    assert (await api.client.put(path, content=b'{"text": "y"}', headers=headers)).status_code == 415


async def test_an_empty_body_that_a_proxy_made_chunked_is_no_body(api: Caller) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b""

    memory_id = await api.add("Tea.")
    for method, path in (("DELETE", memory_id), ("POST", f"{memory_id}/restore")):
        answer = await api.client.request(method, f"/api/memories/{path}", headers=api.headers, content=chunks())
        assert (answer.status_code, answer.request.headers.get("transfer-encoding")) == (200, "chunked")


async def test_more_values_than_a_batch_can_use_are_refused_before_they_are_parsed(api: Caller) -> None:
    """Parsing them would stop all other requests for seconds."""
    headers = {**api.headers, "Content-Type": "application/json"}
    for memories in (b"[" + b"[]," * 3_000_000 + b"1]", b'[{"content": "x"' + b',"k":1' * 1_000_000 + b"}]"):
        content = b'{"memories": ' + memories + b"}"
        refused = await api.client.post("/api/memories/batch", content=content, headers=headers)
        detail = "The body has more than 300,000 names, values and commas: send fewer."
        assert (refused.status_code, refused.json()) == (400, {"detail": detail})
    assert await api.listed() == []
