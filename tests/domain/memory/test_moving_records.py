"""Imports of records and graphs of other programs: their times, labels and other fields."""

import json
from pathlib import Path

import pytest

from server.domain.memory.exchange import json_values
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.moments import UNREAD
from server.errors import Invalid
from tests.support.moving import GRAPH, read, texts

AT = "2024-01-01T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def test_labels_and_agents_of_other_servers_are_kept_and_the_rest_is_named(path: Path) -> None:
    warnings = Warnings()
    record = {"memory": "tea", "categories": ["drinks"], "agent_id": "bot", "created_at": AT, "expiration_date": "x"}
    (line,) = read(path, json.dumps(record), warnings=warnings)
    assert line.metadata == {"tags": ["drinks"], "agent_id": "bot"}
    assert line.created_at.year == 2024
    assert warnings.sentences() == ["expiration_date: is not a field; did you mean expires_at? (1 time)"]


@pytest.mark.parametrize("content", ['{"title": "Kuchen", "text": "Mehl"}', "Title;Text\nKuchen;Mehl\n"])
def test_the_title_of_a_record_is_the_name_of_the_memory(path: Path, content: str) -> None:
    warnings = Warnings()
    (line,) = read(path, content, warnings=warnings)
    assert (line.content, line.metadata, warnings.sentences()) == ("Mehl", {"title": "Kuchen"}, [])


def test_the_role_of_a_message_in_a_list_stays_in_the_metadata(path: Path) -> None:
    warnings = Warnings()
    (line,) = read(path, json.dumps([{"role": "assistant", "content": "tea"}]), warnings=warnings)
    assert (line.content, line.metadata, warnings.sentences()) == ("tea", {"role": "assistant"}, [])


def test_memories_that_were_deleted_elsewhere_stay_deleted(path: Path) -> None:
    warnings = Warnings()
    kept: list[dict[str, object]] = [
        {"content": "tea", "state": "active", "deleted_at": None},
        {"content": "rum", "state": "archived"},
        {"content": "mead", "deleted": False, "trashed": None},
        {"content": "milk", "deleted": "FALSE", "trashed": 0, "is_deleted": " no "},
    ]
    gone: list[dict[str, object]] = [{"content": "gin", "state": "deleted"}, {"content": "rye", "deleted_at": AT}]
    gone += [{"content": "ale", name: True} for name in ("deleted", "is_deleted", "isDeleted", "trashed", "isTrashed")]
    lines = read(path, json.dumps({"memories": kept + gone}), warnings=warnings)
    assert [line.content for line in lines] == ["tea", "rum", "mead", "milk"]
    assert "memories deleted in the other program were left out, such as item 5 (7 times)" in warnings.sentences()


def test_the_notes_of_simplenote_are_read_without_those_in_its_trash(path: Path) -> None:
    note = {"id": "1", "content": "tea", "creationDate": AT, "lastModified": "2024-02-01T00:00:00Z", "tags": ["a"]}
    export = {"activeNotes": [{**note, "content": ""}, note], "trashedNotes": [{**note, "content": "gin"}]}
    warnings = Warnings()
    (line,) = read(path, json.dumps(export), warnings=warnings)
    assert (line.content, line.created_at.year, line.updated_at.month) == ("tea", 2024, 2)
    assert warnings.sentences() == [
        "memories without text were left out, such as item 1 (1 time)",
        "memories deleted in the other program were left out, such as item 3 (1 time)",
    ]


@pytest.mark.parametrize("name", ["createdAt", "pageContent", "lastModified"])
def test_a_long_text_of_another_program_becomes_several_memories(path: Path, name: str) -> None:
    text = " \n\n".join(f"{number} " + "tea " * 500 for number in range(12))
    record = {"title": "Tea", "content": text, name: text if name == "pageContent" else AT}
    lines = read(path, json.dumps(record))
    assert [line.content.split()[0] for line in lines] == ["0", "4", "8"]
    assert {str(line.metadata) for line in lines} == {"{'title': 'Tea'}"}


@pytest.mark.parametrize("text", [None, "", " \u200b"])
def test_a_memory_of_mem0_without_text_does_not_stop_the_others(path: Path, text: str | None) -> None:
    warnings = Warnings()
    records = [{"memory": text, "hash": "g", "user_id": "ann"}, {"memory": "tea", "hash": "h"}]
    assert [line.content for line in read(path, json.dumps(records), warnings=warnings)] == ["tea"]
    assert warnings.sentences() == ["memories without text were left out, such as item 1 (1 time)"]


@pytest.mark.parametrize(
    "at",
    [
        1_706_775_135,
        1_706_775_135_000,
        1_706_775_135_000_000,
        1_706_775_135_000_000_000,
        "1706775135",
        "Thu, 01 Feb 2024 09:12:15 +0100",
        "1 Feb 2024 08:12:15 GMT",
        20_240_201_081_215,
        "20240201081215",
        "20240201T081215Z",
        "20240201T091215+0100",
        "2024/02/01 08:12:15",
        "2024.2.1 8:12:15 AM",
        "2024-02-01 08:12:15 am",
        "February 1, 2024 8:12:15 AM",
        "Thursday, February 1st, 2024 at 08:12:15",
        "1. Feb. 2024, 08:12:15",
        "Thu Feb 01 2024 09:12:15 GMT+0100 (Central European Standard Time)",
    ],
)
def test_times_of_other_programs_are_read(path: Path, at: object) -> None:
    for content in (json.dumps({"content": "tea", "created_at": at}), f"---\ndate: {at}\n---\ntea"):
        (line,) = read(path, content)
        assert line.created_at.isoformat() == "2024-02-01T08:12:15+00:00"


@pytest.mark.parametrize(
    "at", [20240201, "20240201", "202402010000", 202402010000, "2024/2/1", "1 February 2024", "Feb 1, 2024"]
)
def test_days_of_other_programs_are_read(path: Path, at: object) -> None:
    for content in (json.dumps({"content": "tea", "created_at": at}), f"---\ndate: {at}\n---\ntea"):
        (line,) = read(path, content)
        assert line.created_at.isoformat() == "2024-02-01T00:00:00+00:00"


@pytest.mark.parametrize("at", ["20240230", "01/02/2024", "2024/13/01", "spring 2024", "20240201x", "1,000"])
def test_what_is_no_time_or_has_two_meanings_is_refused(path: Path, at: str) -> None:
    with pytest.raises(Invalid, match="created_at: must be an ISO 8601 date or time"):
        read(path, json.dumps({"content": "tea", "created_at": at}))


def test_times_with_javascript_names_are_read(path: Path) -> None:
    warnings = Warnings()
    tea = {"content": "tea", "createdAt": AT, "updatedAt": "2024-02-01T00:00:00Z", "deletedAt": None}
    both = {"content": "milk", "createdAt": "2023-01-01", "created_at": AT}
    records = [tea, both, {"content": "rye", "deletedAt": AT}]
    lines = read(path, json.dumps(records), warnings=warnings)
    assert [(line.content, line.created_at.year, line.updated_at.month) for line in lines] == [
        ("tea", 2024, 2),
        ("milk", 2024, 1),
    ]
    assert warnings.sentences() == ["memories deleted in the other program were left out, such as item 3 (1 time)"]


def test_a_time_of_another_program_that_cannot_be_read_stays_in_the_metadata(path: Path) -> None:
    warnings = Warnings()
    unread: dict[str, object] = {"lastModified": "01/02/2024", "expiresAt": "soon", "createdAt": "1965-05-01"}
    milk: dict[str, object] = {"content": "milk", "createdAt": AT, "updateTime": "", "metadata": {"a": 1}}
    first, second = read(path, json.dumps([{"content": "tea", **unread}, milk]), warnings=warnings)
    assert (first.metadata, first.expires_at) == (unread, None)
    assert (second.metadata, second.created_at.year) == ({"a": 1}, 2024)
    (sentence,) = warnings.sentences()
    assert sentence.startswith(f"{UNREAD}, such as ")
    assert sentence.endswith(" in item 1 (3 times)")


@pytest.mark.parametrize("name", ["created", "timestamp", "date"])
def test_a_record_has_the_time_that_front_matter_may_have(path: Path, name: str) -> None:
    for content in (json.dumps({"text": "tea", name: AT}), f"text;{name.title()}\ntea;{AT}\n"):
        warnings = Warnings()
        (line,) = read(path, content, warnings=warnings)
        assert (line.created_at.year, line.metadata, warnings.sentences()) == (2024, {}, [])


def test_a_second_time_of_a_record_stays_in_its_metadata_without_a_word(path: Path) -> None:
    warnings = Warnings()
    record = {"text": "tea", "date": "2023-02-01", "created": AT, "timestamp": "2022-01-01"}
    (line,) = read(path, json.dumps(record), warnings=warnings)
    assert (line.created_at.year, warnings.sentences()) == (2024, [])
    assert line.metadata == {"date": "2023-02-01", "timestamp": "2022-01-01"}
    record = {"text": "tea", "created_at": AT, "date": "2023-02-01", "updated_at": AT, "updatedAt": AT}
    (line,) = read(path, json.dumps(record), warnings=warnings)
    assert (line.created_at.year, line.metadata) == (2024, {"date": "2023-02-01"})


def test_times_with_the_names_of_google_are_read(path: Path) -> None:
    warnings = Warnings()
    (line,) = read(path, json.dumps({"content": "tea", "createTime": AT, "updateTime": AT}), warnings=warnings)
    assert (line.created_at.year, line.updated_at.year, warnings.sentences()) == (2024, 2024, [])


def test_a_memory_of_mem0_expires_after_its_last_day(path: Path) -> None:
    warnings = Warnings()
    days = ("2099-01-31", "2024-02-01", None)
    records = [{"memory": "tea", "hash": "h", "expiration_date": day} for day in days]
    expiries = [str(line.expires_at) for line in read(path, json.dumps(records), warnings=warnings)]
    assert expiries == ["2099-02-01 00:00:00+00:00", "2024-02-02 00:00:00+00:00", "None"]
    assert warnings.sentences() == []


def test_a_time_without_a_value_takes_the_place_of_no_other(path: Path) -> None:
    record = {
        **{"memory": "tea", "hash": "h", "created_at": "", "createdAt": AT, "createTime": None},
        **{"expires_at": None, "expiration_date": "2099-01-31"},
    }
    (line,) = read(path, json.dumps(record))
    assert (line.created_at.year, str(line.expires_at)) == (2024, "2099-02-01 00:00:00+00:00")


@pytest.mark.parametrize("at", [{"createdAt": AT}, {"timestamp": 1_704_067_200}, {"timestamp": 1_704_067_200_123}])
def test_messages_alone_are_of_the_time_of_the_first(path: Path, at: dict[str, object]) -> None:
    unread: dict[str, object] = {"timestamp": "10:31", "createdAt": "3/2/2024", "createTime": {"a": 1}}
    messages = [{"role": "system", "content": "Hi"} | unread, {"role": "user", "content": "Hello"} | at]
    (line,) = read(path, json.dumps([{"messages": messages}]))
    assert (line.content, line.created_at.year) == ("system: Hi\nuser: Hello", 2024)


def test_fields_without_a_value_are_as_left_out(path: Path) -> None:
    names = ("memory", "user_id", "created_at", "updated_at", "expires_at", "pinned", "metadata", "messages")
    (line,) = read(path, json.dumps(dict.fromkeys(names, "") | {"text": "tea"}))
    assert (line.content, line.user_id, line.metadata, line.created_at.year) == ("tea", None, {}, line.updated_at.year)


def test_metadata_may_be_json_text(path: Path) -> None:
    (line,) = read(path, json.dumps({"content": "tea", "metadata": '{"tags": "a", "n": 1}', "topic_category": "t"}))
    assert line.metadata == {"tags": "a", "n": 1, "topic_category": "t"}


def test_relations_of_mem0_are_read_beside_its_memories(path: Path) -> None:
    relations = [{"source": "ann", "relationship": "likes", name: "tea"} for name in ("target", "destination")]
    content = json.dumps({"results": [{"memory": "x"}], "relations": relations})
    assert texts(path, content) == ["x", "ann likes tea", "ann likes tea"]
    assert texts(path, json.dumps([{"text": "y", **relations[0]}])) == ["y"]


def test_entities_and_relations_are_read(path: Path) -> None:
    content = "\n".join(map(json.dumps, GRAPH))
    assert texts(path, content) == ["Anna (person)\nlikes tea\nlives in Rome", "Anna works at Acme"]
    assert read(path, content)[0].metadata["people_mentioned"] == ["Anna"]
    assert len(texts(path, json.dumps({"entities": GRAPH[:1], "relations": GRAPH[1:]}))) == 2


@pytest.mark.parametrize("observations", [{}, {"observations": None}, {"observations": [None]}, {"observations": []}])
def test_an_entity_without_observations_is_its_name(path: Path, observations: dict[str, object]) -> None:
    entity = {"type": "entity", "name": "Anna", "entityType": "person", **observations}
    assert texts(path, json.dumps(entity)) == ["Anna (person)"]


def test_entities_and_relations_keep_their_other_fields_or_name_them(path: Path) -> None:
    warnings = Warnings()
    more = {"created_at": AT, "metadata": {"team": 7}, "create_at": AT}
    entity = {"name": "Anna", "observations": ["tea", {"likes": "ünı"}], **more}
    lines = read(path, json.dumps([entity, {**GRAPH[1], **more}]), warnings=warnings)
    assert lines[0].content == 'Anna\ntea\n{"likes": "ünı"}'
    assert [(line.created_at.year, line.metadata["team"]) for line in lines] == [(2024, 7)] * 2
    assert warnings.sentences() == ["create_at: is not a field; did you mean created_at? (2 times)"]


@pytest.mark.parametrize("chunk_length", [7, 60, 65_536])
def test_a_record_keeps_its_text_wherever_its_lists_are(
    path: Path, monkeypatch: pytest.MonkeyPatch, chunk_length: int
) -> None:
    monkeypatch.setattr(json_values, "_CHUNK_LENGTH", chunk_length)
    records = [{"id": "7", "entities": ["Ann", "Rome"], "memory": "tea", "data": [{"n": 1}]}] * 9
    assert texts(path, "\n".join(map(json.dumps, records))) == ["tea"] * 9
