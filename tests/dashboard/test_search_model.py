"""The pages name the embedding model, and say when another one would find more."""

import threading

import anyio
import anyio.to_thread
import pytest

from server.index.upkeep import survey, worker
from tests.support.visitors import Visitor


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(survey, "REST_FACTOR", 1)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)


async def settings_with(ann: Visitor, text: str) -> str:
    """Return the settings page as soon as it shows the text."""
    with anyio.fail_after(20):
        while text not in (page := await ann.see(f"{ann.project}/settings")):
            await anyio.to_thread.run_sync(threading.Event().wait, 0.02)
    return page


async def test_the_settings_name_the_model_and_no_counts_of_the_server(ann: Visitor) -> None:
    await ann.remember_all([f"Anna likes tea number {number}." for number in range(9)])
    page = await settings_with(ann, "Search model words/test")
    assert "on this server" not in page
    assert "Background work" not in page
    assert "SELFMEMORY_EMBEDDING_MODEL" not in page
    assert "SELFMEMORY_EMBEDDING_MODEL" not in await ann.see(ann.project)


async def test_a_project_in_another_language_is_told_which_setting_to_change(ann: Visitor) -> None:
    await ann.remember_all([f"Minha irmã não gosta de tomates da feira {number}." for number in range(9)])
    setting = "SELFMEMORY_EMBEDDING_MODEL=multilingual-e5-small"
    await settings_with(ann, setting)
    assert setting in await ann.see(ann.project)
