"""The first minutes with a new server: the setup page, the wrong address, and the overview of an empty project."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server.settings import Settings
from tests.conftest import ORIGIN, Tenant
from tests.support.browsers import PASSWORD, sign_up
from tests.support.visitors import Visitor, seen

LAN = "http://192.168.1.10:8081"
FORM = {"email": "ann@example.com", "name": "Ann", "password": PASSWORD}


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update={"public_url": getattr(request, "param", ORIGIN)})


async def test_the_first_page_stays_the_first_page_after_a_wrong_field(client: httpx.AsyncClient) -> None:
    assert "This server is new." in (await client.get("/setup")).text
    for wrong in ({"email": "nobody"}, {"password": "short"}, {"name": "x" * 101}):
        answer = await sign_up(client, **wrong)
        assert answer.status_code == 400
        assert "This server is new." in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert re.findall(r'name="(\w+)"[^>]* autofocus', answer.text) == list(wrong)
        assert f'value="{wrong.get("name", "Ann")}"' in answer.text
    assert (await sign_up(client)).status_code == 303
    assert "This server is new." not in (await sign_up(client, email="nobody")).text


async def test_the_first_account_is_asked_for_the_same_as_any_other(client: httpx.AsyncClient) -> None:
    first, later = [re.findall(r"<input[^>]*>", (await client.get(path)).text) for path in ("/setup", "/sign-up")]
    assert first == later
    assert [re.findall(r'name="(\w+)"', field)[0] for field in first] == ["email", "name", "password"]
    assert ["required" in field for field in first] == [True, False, True]


@pytest.mark.parametrize("path", ["/sign-up", "/sign-in", "/forgot-password", "/sign-out"])
async def test_a_form_from_the_wrong_address_gets_the_right_one(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, data=FORM, headers={"Host": LAN.removeprefix("http://"), "Origin": LAN})
    assert answer.status_code == 403
    assert f"This page was opened at {LAN}, but the address of this server is {ORIGIN}: open it there." in seen(answer)
    assert "SELFMEMORY_PUBLIC_URL" in answer.text
    assert f'href="{ORIGIN}"' in answer.text
    assert "<h1>Wrong address</h1>" in answer.text


async def test_a_form_of_a_signed_in_page_gets_the_right_address_too(
    alice: Tenant, visit: Callable[[Tenant], Visitor]
) -> None:
    page = visit(alice)
    answer = await page.post("/dashboard/account/name", {"name": "Al"}, Host=LAN.removeprefix("http://"), Origin=LAN)
    assert (answer.status_code, f"the address of this server is {ORIGIN}" in answer.text) == (403, True)


async def test_a_program_with_a_cookie_gets_json(alice: Tenant, visit: Callable[[Tenant], Visitor]) -> None:
    headers = {"Host": "nas.local:8081", "Origin": "http://nas.local:8081"}
    answer = await visit(alice).client.post("/api/organizations", json={"name": "Team"}, headers=headers)
    assert answer.status_code == 403
    assert f"the address of this server is {ORIGIN}" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["localhost:8081", "evil.example"])
async def test_another_site_learns_no_address(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.post("/sign-up", data=FORM, headers={"Host": host, "Origin": "https://evil.example:1"})
    assert answer.status_code == 403
    assert "comes from another site" in answer.text


@pytest.mark.parametrize(
    ("settings", "first"),
    [(ORIGIN, "Claude Code"), ("http://nas.local:8081", "Claude Code"), ("https://memory.example.com", "Claude")],
    indirect=["settings"],
)
async def test_the_first_client_is_one_that_can_reach_the_server(
    alice: Tenant, visit: Callable[[Tenant], Visitor], first: str
) -> None:
    page = visit(alice)
    assert f'<h2 id="chosen-title">{first}</h2>' in (await page.get(f"{page.project}/connect")).text


async def test_without_mail_nobody_is_sent_to_confirm_an_address(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    page = (await client.get("/dashboard/notifications")).text
    assert "Ask the person who invited you for the link" in page
    assert "Confirm your email address" not in page
    assert "You don’t need to do anything" in (await client.get("/dashboard/account")).text


@pytest.mark.parametrize(
    ("settings", "host", "policy"),
    [
        (ORIGIN, "localhost:8081", "no-referrer"),
        (ORIGIN, "nas.local:8081", "same-origin"),
        ("http://nas.local:8081", "nas.local:8081", "same-origin"),
        ("https://memory.example.com", "memory.example.com", "no-referrer"),
        ("https://memory.example.com", "192.168.1.10:8081", "same-origin"),
    ],
    indirect=["settings"],
)
async def test_pages_over_plain_http_let_the_browser_send_origin_to_ourselves_alone(
    client: httpx.AsyncClient, host: str, policy: str
) -> None:
    page = await client.get("/sign-up", headers={"Host": host})
    assert (page.status_code, page.headers["referrer-policy"]) == (200, policy)
    redirect = await client.get("/dashboard", headers={"Host": host})
    assert (redirect.status_code, redirect.headers["referrer-policy"]) == (303, "no-referrer")


async def test_example_memories_come_on_request_and_go_together(ann: Visitor) -> None:
    numbered, _, below = (await ann.get(ann.project)).text.partition("</ol>")
    assert "Add example memories" not in numbered
    assert "Add example memories" in below
    pressed = await asyncio.gather(*(ann.post(f"{ann.project}/examples") for _ in range(4)))
    assert sorted(answer.status_code for answer in pressed) == [303, 400, 400, 400]
    page = await ann.get(f"{ann.project}/memories?tags=example")
    ids = re.findall(r'name="ids" form="selected" value="(mem_\w+)"', page.text)
    assert len(ids) == 8
    shown = seen(page)
    assert "Release checklist 1. Run make check 2. Tag the release 3. Publish the notes" in shown
    about_anna = seen(await ann.get(f"{ann.project}/memories?people=Anna"))
    assert "Anna prefers the window seat on trains" in about_anna
    assert "Release checklist" not in about_anna
    assert (await ann.post(f"{ann.project}/examples")).status_code == 400
    await ann.do(f"{ann.project}/memories/selected", {"action": "delete", "ids": ids})
    assert "No memories yet" in await ann.see(f"{ann.project}/memories")


async def test_viewers_add_no_examples(ann: Visitor, viewer: Visitor) -> None:
    page = await viewer.see(ann.project)
    assert "Add example memories" not in page
    assert "Tell it something" not in page
    assert "add a memory yourself" not in await viewer.see(f"{ann.project}/memories")
    assert (await viewer.post(f"{ann.project}/examples")).status_code == 403


async def test_a_server_without_mail_shows_the_command_instead_of_sending_a_link(client: httpx.AsyncClient) -> None:
    empty = await client.get("/forgot-password")
    assert "No link was sent." not in seen(empty)
    assert "Send link" not in seen(empty)
    answer = seen(await client.post("/forgot-password", data={"email": "ann@example.com"}))
    assert "No link was sent." in answer
    assert "python -m server reset-password --email ann@example.com" in answer
    odd = seen(await client.post("/forgot-password", data={"email": "ann;date@example.com"}))
    assert "--email 'ann;date@example.com'" in odd or "--email" not in odd


@pytest.mark.parametrize(
    ("python", "script", "shown"),
    [
        (".venv/bin/python", "server/__main__.py", ".venv/bin/python -m server"),
        (f"{Path.cwd()}/.venv/bin/python", "server/__main__.py", ".venv/bin/python -m server"),
        ("python", "server/__main__.py", "python -m server"),
        ("/srv/ann/bin/python3", "server/__main__.py", "python3 -m server"),
        ("../ann/bin/python3", "server/__main__.py", "python3 -m server"),
        ("/srv/ann/bin/python3", "/srv/ann/bin/selfmemory-server", "selfmemory-server"),
        (f"{Path.cwd()}/.venv/bin/python", ".venv/bin/selfmemory-server", ".venv/bin/selfmemory-server"),
        (f"{Path.cwd()}/.venv/bin/python", f"{Path.cwd()}/.venv/bin/selfmemory-server", ".venv/bin/selfmemory-server"),
    ],
)
async def test_a_page_names_the_command_as_it_has_to_be_typed(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, python: str, script: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [python])
    monkeypatch.setattr(sys, "argv", [script])
    answer = await client.post("/forgot-password", data={"email": "ann@example.com"})
    assert f">{shown} reset-password --email ann@example.com<" in answer.text


async def test_a_page_names_the_command_after_the_folder_of_the_start_was_deleted(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "started here"
    os.mkdir(folder)
    monkeypatch.chdir(folder)
    os.rmdir(folder)
    answer = await client.post("/forgot-password", data={"email": "ann@example.com"})
    assert " -m server reset-password --email ann@example.com<" in answer.text


async def test_an_empty_project_has_nothing_to_export(ann: Visitor) -> None:
    assert "There are no memories to export yet." in await ann.see(f"{ann.project}/transfer")
    await ann.remember("I like tea.")
    assert "1 memory in My Memories. You can import the file" in await ann.see(f"{ann.project}/transfer")


async def test_files_of_pages_are_no_lines_in_the_log(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for path in ("/static/palette.js", "/sign-in"):
        assert (await client.get(path)).status_code == 200
    assert [vars(record)["route"] for record in caplog.records if record.message == "request"] == ["/sign-in"]
