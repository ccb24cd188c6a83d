"""The flow as a whole."""

from tests.support.flows import App, Person, tokens_of


async def test_an_application_is_connected_and_refreshes(notes: App, ann: Person) -> None:
    tokens = await notes.connect(ann)
    assert await notes.works(tokens.access)
    again = tokens_of(await notes.refresh(tokens.refresh))
    assert await notes.works(again.access)


async def test_a_confidential_client_is_connected(backend: App, ann: Person) -> None:
    assert await backend.works((await backend.connect(ann)).access)
