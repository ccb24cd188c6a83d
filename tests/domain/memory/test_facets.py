"""The counts of labels and sources have one order, also among equals."""

from dataclasses import replace

from server.domain.memory.filters import Filters
from server.domain.memory.pages import facets
from server.models.base import new_id
from server.principal import CredentialKind
from tests.support.world import World


def test_sources_with_equally_many_memories_come_in_the_order_of_their_ids(world: World) -> None:
    ids = [new_id("key_") for _ in range(40)]
    for source_id in ids:
        key = replace(world.principal, kind=CredentialKind.API_KEY, credential_id=source_id)
        replace(world, principal=key).add("a red canoe")
    with world.database.read() as session:
        found = facets.facets(session, world.principal, world.project_id, Filters())
    assert [source.value for source in found.sources] == ids[: facets.MOST_VALUES]


def test_labels_take_no_place_among_the_names_of_details(world: World) -> None:
    others = {f"name {number}": number for number in range(facets.MOST_VALUES)}
    world.add("a canoe", metadata={"tags": "boats", "topic_category": "things", **others})
    with world.database.read() as session:
        assert set(facets.detail_names(session, world.principal, world.project_id)) == set(others)
