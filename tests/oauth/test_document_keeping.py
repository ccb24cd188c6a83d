"""Requirements 30 and 33: how long a client's document is cached, what a flow keeps of it, and how to do without."""

import httpx
import pytest

from oauth import client_documents
from tests.support.flows import CALLBACK, PLAIN, App, Person, answer_of, app_at, is_page
from tests.support.hosts import Host, Page

pytestmark = pytest.mark.settings(cimd_allow_private=True)


@pytest.mark.parametrize("control", ["max-age=3600", "no-store", ""])
async def test_030_a_good_document_is_fetched_once(
    host: Host, client: httpx.AsyncClient, ann: Person, control: str
) -> None:
    app = app_at(client, host.publish("/client", PLAIN, {"Cache-Control": control} if control else {}))
    for _ in range(2):
        assert (await ann.open(app.request())).status_code == 200
    assert len(host.asked) == 1


def test_030_cache_control_sets_the_lifetime_within_bounds() -> None:
    floor, ceiling = client_documents.MIN_LIFETIME, client_documents.MAX_LIFETIME
    told = {"max-age=1": floor, "no-store": floor, "max-age=99999999": ceiling, "": client_documents.DEFAULT_LIFETIME}
    assert {control: client_documents.lifetime(control) for control in told} == told


async def test_030_a_bad_document_is_fetched_again(host: Host, client: httpx.AsyncClient, ann: Person) -> None:
    url = host.publish("/client", {"redirect_uris": []})
    assert is_page(await ann.open(app_at(client, url).request()))
    host.publish("/client", PLAIN)
    assert (await ann.open(app_at(client, url).request())).status_code == 200


async def test_an_outage_of_the_host_does_not_stop_a_known_client(
    host: Host, client: httpx.AsyncClient, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last good copy is used for a day, but a host that says the document is gone ends it immediately."""
    monkeypatch.setattr(client_documents, "MIN_LIFETIME", client_documents.MIN_LIFETIME * 0)
    app = app_at(client, host.publish("/client", PLAIN, {"Cache-Control": "no-store"}))
    assert (await ann.open(app.request())).status_code == 200
    host.pages["/client"] = Page(b"", "503 Service Unavailable")
    assert (await ann.open(app.request())).status_code == 200
    host.pages["/client"] = Page(b"", "404 Not Found")
    assert is_page(await ann.open(app.request()))
    assert len(host.asked) == 3


async def test_033_a_flow_keeps_the_redirect_uris_it_began_with(
    host: Host, client: httpx.AsyncClient, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_documents, "MIN_LIFETIME", client_documents.MIN_LIFETIME * 0)
    app = app_at(client, host.publish("/client", PLAIN, {"Cache-Control": "no-store"}))
    page = await ann.open(app.request())
    host.publish("/client", PLAIN | {"redirect_uris": ["https://new.example/cb"]})
    moved = app_at(client, app.client_id, "https://new.example/cb")
    assert (await ann.open(moved.request())).status_code == 200
    answer = await ann.decide(page)
    assert answer.headers["location"].startswith(f"{CALLBACK}?")
    assert (await app.redeem(answer_of(answer)["code"])).status_code == 200
    assert is_page(await ann.open(app.request()))


@pytest.mark.settings(cimd_allow_private=True, cimd_enabled=False)
async def test_where_documents_are_off_clients_learn_it_and_register(
    host: Host, client: httpx.AsyncClient, notes: App, ann: Person
) -> None:
    """A server without internet access cannot fetch them, and clients that have one do not fall back by themselves."""
    metadata = (await client.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["client_id_metadata_document_supported"] is False
    described = app_at(client, host.publish("/client", PLAIN)).request()
    for page in (await client.get("/oauth/authorize", params=described), await ann.open(described)):
        assert is_page(page)
        assert "add it back" in page.text
    assert host.connections == 0
    assert await notes.works((await notes.connect(ann)).access)
