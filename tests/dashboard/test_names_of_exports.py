"""An exported file has the name of its project, in every script."""

from urllib.parse import unquote

import pytest

from tests.support.visitors import Visitor


@pytest.mark.parametrize(
    ("name", "file_name"),
    [
        ("Größe.&'x", "größe-x"), ("Проект 1", "проект-1"), ("日本語のメモ", "日本語のメモ"), ("हिन्दी", "हिन्दी"),
        ("می\u200cخواهم", "می-خواهم"), ("i" * 100, None),
    ],
)  # fmt: skip
async def test_a_file_is_named_after_its_project(ann: Visitor, name: str, file_name: str | None) -> None:
    body = {"name": name, "organization_id": ann.tenant.organization_id}
    project = (await ann.client.post("/api/projects", json=body)).json()["project_id"]
    header = (await ann.get(f"/dashboard/projects/{project}/export?format=csv")).headers["content-disposition"]
    assert header.isascii()
    _, found, encoded = header.partition("; filename*=UTF-8''")
    assert (unquote(encoded) if found else None) == (file_name and f"{file_name}.csv")
