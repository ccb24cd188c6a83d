"""The exports of note programs other than Markdown become memories, with their times and without what was deleted."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.moments import UNREAD
from server.domain.memory.exchange.records import DELETED
from server.domain.memory.exchange.sources import read_path
from server.errors import Invalid
from tests.support.moving import AT, read, zipped

LATER = "2024-01-02T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def test_notes_of_google_keep_are_read(path: Path) -> None:
    times = {"createdTimestampUsec": 1_704_067_200_000_000, "userEditedTimestampUsec": 1_704_153_600_000_000}
    note = {"isTrashed": False, "isPinned": True, "isArchived": False, "color": "DEFAULT", **times}
    items = [{"text": "milk", "isChecked": True}, {"text": "bread", "isChecked": False}]
    link = {"source": "WEBLINK", "url": "https://example.com"}
    files: dict[str, Any] = {
        "a.json": note
        | {"title": "Home", "textContent": "The key", "labels": [{"name": "home"}], "annotations": [link]},
        "b.json": note | {"title": "", "listContent": items},
        "c.json": note | {"title": "Gone", "textContent": "x", "isTrashed": True},
        "d.json": note | {"title": "", "attachments": [{"filePath": "a.jpg"}]},
    }
    warnings = Warnings()
    zipped(path, {name: json.dumps(file) for name, file in files.items()})
    assert [entry.group for entry in read_path(path, Warnings())] == ["Home", ""]
    home, shopping = read(path, warnings=warnings)
    assert home.content == "Home\n\nThe key\nhttps://example.com"
    assert home.metadata == {"source": "google-keep", "title": "Home", "tags": ["home"]}
    assert (home.created_at.day, home.updated_at.day, home.pinned) == (1, 2, True)
    assert shopping.content == "- [x] milk\n- [ ] bread"
    assert sorted(warnings.sentences()) == [
        "images and files attached to notes were left out: only text is imported (1 time)",
        "memories deleted in the other program were left out, such as Gone (1 time)",
        "notes without text were left out (1 time)",
    ]


def test_a_journal_of_day_one_is_read(path: Path) -> None:
    entry = {
        "uuid": "A", "creationDate": AT, "modifiedDate": LATER, "tags": ["sport"], "starred": True,
        "text": "# Morning\n\nRan 5\\.2 km\\.\n\n![](dayone-moment://X)", "location": {"placeName": "Park"},
        "photos": [{"identifier": "X"}], "weather": {"temperatureCelsius": 3},
    }  # fmt: skip
    warnings = Warnings()
    pictures = {"uuid": "B", "creationDate": AT, "photos": [{"identifier": "Y"}], "location": {"placeName": "Park"}}
    export = {"metadata": {"version": "1.0"}, "entries": [pictures, entry]}
    (line,) = read(path, json.dumps(export), warnings=warnings)
    assert line.content == "# Morning\n\nRan 5.2 km."
    assert line.metadata == {"source": "day-one", "tags": ["sport"], "place": "Park"}
    assert (line.created_at.day, line.updated_at.day) == (1, 2)
    assert len(warnings.sentences()) == 2


def test_a_task_with_the_names_of_day_one_is_refused_and_not_left_out(path: Path) -> None:
    with pytest.raises(Invalid, match=r"content: is required\. uuid: is not a field\. notes: is not a field"):
        read(path, json.dumps([{"uuid": "A", "creationDate": AT, "title": "Tea", "notes": "Buy green tea"}]))


def standard(kind: str, **content: object) -> dict[str, Any]:
    times = {"created_at": AT, "updated_at": LATER, "updated_at_timestamp": 1_704_153_600_000_000}
    return {"uuid": "u", "content_type": kind, "content": {"references": [], **content}, "deleted": False, **times}


def test_a_backup_of_standard_notes_is_read_without_its_trash(path: Path) -> None:
    about = {"org.standardnotes.sn": {"pinned": True, "client_updated_at": "2024-01-03T10:00:00.000Z"}}
    items = [
        standard("Note", title="Einkauf 🛒", text="Milch", appData=about),
        standard("Note", title="Gone", text="gin", trashed=True),
        standard("Tag", title="home"),
        standard("Note", title="", text=" "),
    ]
    files = {"Standard Notes Backup and Import File.txt": {"version": "004", "items": items}}
    zipped(path, {name: json.dumps(file) for name, file in files.items()} | {"Items/Note/Einkauf-1.txt": "Milch"})
    warnings = Warnings()
    (line,) = read(path, warnings=warnings)
    assert (line.content, line.metadata) == ("Einkauf 🛒\n\nMilch", {"source": "standard-notes", "title": "Einkauf 🛒"})
    assert (line.created_at.day, line.updated_at.day, line.pinned) == (1, 3, True)
    assert [sentence.partition(" were left out")[0] for sentence in warnings.sentences()] == [
        "files that are not Markdown, JSON or CSV", "memories deleted in the other program",
        "tags, settings and files of Standard Notes", "notes without text",
    ]  # fmt: skip


def test_an_encrypted_backup_of_standard_notes_is_refused_with_what_to_do(path: Path) -> None:
    item = {"content": "004:x", "content_type": "Note", "enc_item_key": "004:y"}
    with pytest.raises(Invalid, match=r"item 1: is encrypted\. In Standard Notes, create a decrypted backup"):
        read(path, json.dumps({"items": [item]}))


def bear(**about: object) -> str:
    return json.dumps({"type": "net.daringfireball.markdown", "version": 2, "net.shinyfrog.bear": about})


def test_a_backup_of_bear_is_read_without_its_trash(path: Path) -> None:
    times = {"creationDate": AT, "modificationDate": "2024-01-02T10:00:00+0100"}
    files = {
        "Backup/Rome.textbundle/text.markdown": "# Rome\nNice. #trip",
        "Backup/Rome.textbundle/info.json": bear(**times, pinned=1, trashed=0, archived=1),
        "Backup/Rome.textbundle/assets/a.md": "b",
        "Backup/茶 🍵.textbundle/text.txt": "緑茶",
        "Backup/茶 🍵.textbundle/info.json": bear(creationDate="bald", trashed=False),
        "Backup/Gone.textbundle/text.md": "gin",
        "Backup/Gone.textbundle/info.json": bear(**times, trashed=1),
        "Craft.textbundle/text.md": "cocoa",
        "Craft.textbundle/info.json": "{",
    }
    warnings = Warnings()
    attached, rome, tea, cocoa = read(zipped(path, files), warnings=warnings)
    assert rome.metadata == {"title": "Rome", "file": "Backup/Rome.textbundle", "tags": ["trip"]}
    assert (rome.created_at.day, rome.updated_at.hour, rome.pinned, rome.source and rome.source.name) == (
        1,
        9,
        True,
        "Bear",
    )
    assert (tea.content, tea.metadata["title"], tea.metadata["created_at"]) == ("緑茶", "茶 🍵", "bald")
    assert (cocoa.metadata["title"], cocoa.source) == ("Craft", None)
    assert attached.content == "b"
    assert warnings.sentences() == [
        f"{DELETED}, such as Backup/Gone.textbundle (1 time)",
        f"{UNREAD}, such as Backup/茶 🍵.textbundle (1 time)",
    ]


ROAM = [
    {"title": "Anna 🍵", "edit-time": 1_706_745_600_000, "create-time": 1_704_067_200_000, "children": [
        {"string": "likes [[tea]] #food", "uid": "a", "children": [{"string": "green\nor black"}, {"string": " "}]},
        {"string": "lives in Roma"}]},
    {"title": "January 5th, 2024", "create-time": 1_706_745_600_000, "children": [{"string": "met Anna"}]},
    {"title": "Empty", "edit-time": 1_706_745_600_000},
    {"title": "Old", "edit-time": 1_706_745_600_000, "children": [{"string": "of 2020"}]},
]  # fmt: skip


def test_pages_of_roam_are_lists_with_their_times(path: Path) -> None:
    warnings = Warnings()
    anna, day, old = read(path, json.dumps(ROAM), warnings=warnings)
    assert old.created_at == old.updated_at == anna.updated_at
    assert anna.content == "- likes [[tea]] #food\n  - green\n    or black\n- lives in Roma"
    assert anna.metadata == {"source": "roam", "title": "Anna 🍵", "tags": ["food"]}
    assert (anna.created_at.month, anna.updated_at.month, anna.source and anna.source.name) == (1, 2, "Roam")
    assert (day.content, str(day.created_at)) == ("- met Anna", "2024-01-05 00:00:00+00:00")
    assert warnings.sentences() == ["pages without text were left out, such as Empty (1 time)"]


def test_pages_of_logseqs_json_keep_their_nested_blocks(path: Path) -> None:
    block = {"id": "b", "format": "markdown", "content": "お茶が好き\nid:: " + "6" * 8 + "-0000-4000-8000-" + "0" * 12}
    page = {"id": "p", "page-name": "杏奈", "properties": {}, "children": [{**block, "children": [block]}]}
    (line,) = read(path, json.dumps({"version": 1, "blocks": [page]}))
    assert (line.content, line.metadata["title"]) == ("- お茶が好き\n  - お茶が好き", "杏奈")


def test_a_page_of_many_or_deep_blocks_is_read_once(path: Path) -> None:
    deep: dict[str, Any] = {"string": "tea"}
    for _ in range(300):
        deep = {"string": "tea", "children": [deep]}
    page = {"title": "Tea", "children": [deep, *({"string": "tea " * 20} for _ in range(5_000))]}
    assert sum(line.content.count("tea") for line in read(path, json.dumps([page]))) == 100_301
