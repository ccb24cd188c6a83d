"""Example memories, for a first look at a server that has none."""

from datetime import timedelta

from sqlmodel import Session

from server.domain.access import Action, require_project
from server.domain.locks import lock_project
from server.domain.memory import counting, memories
from server.domain.memory.inputs import NewMemory
from server.errors import Invalid
from server.index import Index
from server.models.base import now
from server.principal import Principal

TAG = "example"

_TEXTS = (
    (200, "Anna prefers the window seat on trains, and the aisle on planes.", "travel", "Anna", "preferences"),
    (150, "Tom is allergic to hazelnuts and shellfish. His EpiPen is in the outer pocket of the backpack.",
     "family, health", "Tom", "people"),
    (90, "Anna moved to Porto in September. Her new flat is near the Bolhão market.", "family", "Anna", "people"),
    (60, "Answer me in British English, short, without bullet points.", "", "", "preferences"),
    (30, "Decided against Kubernetes for now: three machines and systemd are enough until the second region.",
     "work", "", "decisions"),
    (12, "# Release checklist\n\n1. Run `make check`\n2. Tag the release\n3. **Publish the notes**",
     "work", "", "how-to"),
    (5, "Dr Li recommended 2,000 IU of vitamin D a day until the next blood test in April.",
     "health", "Dr Li", "health"),
    (1, "Deploys to production happen on Thursdays after 14:00. Nobody deploys on Fridays since the March outage.",
     "work", "", "decisions"),
)  # fmt: skip
"""Days ago, text, tags, people, category."""


COUNT = len(_TEXTS)


def add(session: Session, principal: Principal, project_id: str, index: Index) -> list[str]:
    """Add example memories to a project that has none, and return their ids. They are all tagged `example`.

    Only one of several simultaneous callers succeeds. Raises Invalid if there are memories, and the errors of
    `memories.add_many`.
    """
    project = require_project(session, principal, project_id, Action.WRITE)
    lock_project(session, project.id)
    if counting.count_all(session, require_project(session, principal, project.id, Action.WRITE)):
        raise Invalid("Examples are only for a project without memories.")
    return memories.add_many(session, principal, _examples(project.id), index)


def _examples(project_id: str) -> list[NewMemory]:
    fields = [
        {
            "content": text,
            "tags": f"{tags}, {TAG}" if tags else TAG,
            "people_mentioned": people or None,
            "topic_category": category,
            "created_at": now() - timedelta(days=days),
            "project_id": project_id,
        }
        for days, text, tags, people, category in _TEXTS
    ]
    return [NewMemory.model_validate(one) for one in fields]
