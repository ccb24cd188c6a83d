"""Permissions: every role and credential tries every action of the role tables over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from server.domain import access
from server.domain.access import (
    ORGANIZATION_ACTIONS,
    ORGANIZATION_PHRASES,
    PROJECT_ACTIONS,
    PROJECT_PHRASES,
    SCOPE_OF,
    Action,
)
from server.models import OrganizationRole, ProjectRole
from server.principal import Scope
from tests.rest.conftest import said
from tests.support.team import CALLERS, KEYS, ORGANIZATION_ROLES, PROJECT_ROLES, TOKENS, Team


@dataclass(frozen=True)
class Attempt:
    """A request that needs an action. The team fills in each `{…}` in the path and the body."""

    action: Action
    method: str
    path: str
    body: object = None
    works_once: bool = False
    """Whether a team answers it otherwise the second time."""

    @property
    def is_in_project(self) -> bool:
        return "{project}" in f"{self.path}{self.body}" and "{organization}" not in self.path


IN_ORGANIZATION = "/api/organizations/{organization}"
IN_PROJECT = "/api/projects/{project}"
REVERT = {"source_id": f"key_{'0' * 32}", "since": "2026-01-01"}
ATTEMPTS = (
    Attempt(Action.SEE, "GET", IN_ORGANIZATION),
    Attempt(Action.SEE, "GET", IN_ORGANIZATION + "/members"),
    Attempt(Action.LEAVE, "DELETE", IN_ORGANIZATION + "/members/{self}", works_once=True),
    Attempt(Action.MANAGE_MEMBERS, "PUT", IN_ORGANIZATION + "/members/{target}", {"role": "admin"}, works_once=True),
    Attempt(Action.MANAGE_MEMBERS, "DELETE", IN_ORGANIZATION + "/members/{target}", works_once=True),
    Attempt(
        Action.MANAGE_MEMBERS, "POST", IN_ORGANIZATION + "/invitations", {"email": "n@example.com", "role": "member"}
    ),
    Attempt(
        Action.CREATE_PROJECT,
        "POST",
        "/api/projects",
        {"name": "New one", "organization_id": "{organization}"},
        works_once=True,
    ),
    Attempt(Action.SEE_AUDIT, "GET", IN_ORGANIZATION + "/audit"),
    Attempt(Action.OWN, "PUT", IN_ORGANIZATION + "/transfer-ownership", {"new_owner_id": "{target}"}, works_once=True),
    Attempt(Action.OWN, "DELETE", IN_ORGANIZATION, works_once=True),
    Attempt(Action.RENAME, "PATCH", IN_ORGANIZATION, {"name": "Another name"}),
    Attempt(Action.SEE, "GET", IN_PROJECT),
    Attempt(Action.SEE, "GET", IN_PROJECT + "/members"),
    Attempt(Action.LEAVE, "DELETE", IN_PROJECT + "/members/{self}", works_once=True),
    Attempt(Action.MANAGE_MEMBERS, "PUT", IN_PROJECT + "/members/{target}", {"role": "editor"}),
    Attempt(Action.MANAGE_MEMBERS, "DELETE", IN_PROJECT + "/members/{target}", works_once=True),
    Attempt(
        Action.MANAGE_MEMBERS,
        "POST",
        IN_PROJECT + "/members",
        {"user_id": "{member}", "role": "viewer"},
        works_once=True,
    ),
    Attempt(Action.MANAGE_MEMBERS, "POST", IN_PROJECT + "/invitations", {"email": "n@example.com", "role": "viewer"}),
    Attempt(Action.READ, "GET", "/api/memories?project_id={project}"),
    Attempt(Action.READ, "GET", "/api/memories/stats?project_id={project}"),
    Attempt(Action.READ, "POST", "/api/memories/search?project_id={project}", {"query": "tea"}),
    Attempt(Action.WRITE, "POST", "/api/memories?project_id={project}", said("I like tea.")),
    Attempt(Action.WRITE, "DELETE", "/api/memories?project_id={project}"),
    Attempt(Action.CREATE_KEY, "POST", IN_PROJECT + "/api-keys", {"name": "writing"}),
    Attempt(Action.CREATE_READ_KEY, "POST", IN_PROJECT + "/api-keys", {"name": "reading", "permissions": ["read"]}),
    Attempt(Action.CREATE_READ_KEY, "GET", IN_PROJECT + "/api-keys"),
    Attempt(
        Action.REVERT,
        "POST",
        IN_PROJECT + "/revert",
        {"source_id": "key_00000000000000000000000000000000", "since": "2026-01-01", "dry_run": True},
    ),
    Attempt(Action.DELETE_PROJECT, "DELETE", IN_PROJECT, works_once=True),
    Attempt(Action.RENAME, "PATCH", IN_PROJECT, {"name": "Another name"}),
    Attempt(Action.SET_TRASH_DAYS, "PATCH", IN_PROJECT, {"trash_days": 1}),
    Attempt(Action.READ, "GET", IN_PROJECT + "/activity"),
    Attempt(Action.READ, "GET", "/api/memories/context?project_id={project}"),
    Attempt(Action.READ, "GET", "/api/memories/trash?project_id={project}"),
    Attempt(Action.REVERT, "POST", IN_PROJECT + "/revert", REVERT),
)
ELSEWHERE = {Action.DELETE_ANY_KEY}
"""Has a test of its own, because the key must be another person's."""


def test_every_action_is_tried() -> None:
    assert {attempt.action for attempt in ATTEMPTS} | ELSEWHERE == set(Action)


async def test_r17_each_role_may_do_what_the_table_says(make_team: Callable[[], Team]) -> None:
    """All attempts are made in one team, except those that would change how it answers the others. Refusals say why."""
    team = make_team()
    for attempt in ATTEMPTS:
        roles = PROJECT_ROLES if attempt.is_in_project else ORGANIZATION_ROLES
        for caller in sorted(CALLERS, key=lambda caller: expected(attempt, caller) == 200):
            status = expected(attempt, caller)
            answer = await answer_of(attempt, caller, make_team() if attempt.works_once and status == 200 else team)
            assert answer.status_code == status, (attempt, caller)
            if status == 403 and caller in roles:
                assert answer.json()["detail"] == access.refusal(roles[caller], attempt.action)


def expected(attempt: Attempt, caller: str) -> int:
    """Return the status that follows from the tables alone."""
    if caller == "anonymous":
        return 401
    if caller in KEYS or caller in TOKENS:
        return _expected_of_key(attempt, caller)
    if caller == "outsider":
        return 404
    if not attempt.is_in_project:
        allowed = attempt.action in ORGANIZATION_ACTIONS[ORGANIZATION_ROLES[caller]]
    elif access.governs(ORGANIZATION_ROLES[caller]):
        allowed = attempt.action in PROJECT_ACTIONS[ProjectRole.ADMIN]
    elif caller not in PROJECT_ROLES:
        return 404
    else:
        allowed = attempt.action in PROJECT_ACTIONS[PROJECT_ROLES[caller]]
    return _status_if_allowed(attempt, caller) if allowed else 403


def _expected_of_key(attempt: Attempt, caller: str) -> int:
    scope = SCOPE_OF.get(attempt.action) if attempt.is_in_project else None
    has_scope = scope is Scope.READ or (scope is Scope.WRITE and caller in ("write_key", "write_token"))
    return 200 if has_scope else 403


def _status_if_allowed(attempt: Attempt, caller: str) -> int:
    """Return 409 for leaving as the owner, or for leaving a project as an admin of its organization; else 200."""
    if attempt.action is not Action.LEAVE:
        return 200
    return 409 if caller == "owner" or (attempt.is_in_project and caller == "admin") else 200


async def answer_of(attempt: Attempt, caller: str, team: Team) -> httpx.Response:
    filled = {
        "{organization}": team.organization_id,
        "{project}": team.project_id,
        "{target}": team.ids["target"],
        "{member}": team.ids["member"],
        "{self}": team.ids.get(caller, team.ids["project_admin"]),
    }
    path, body = attempt.path, attempt.body
    for name, value in filled.items():
        path = path.replace(name, value)
        if isinstance(body, dict):
            body = {key: value if given == name else given for key, given in body.items()}
    return await team[caller].send(attempt.method, path, body)


SENTENCES = """
A member may not invite or manage people in this organization.
A member may not create projects in this organization.
A member may not see the audit trail of this organization.
A member may not rename this organization.
A member may not transfer or delete this organization.
An admin may not transfer or delete this organization.
A viewer may not manage members of this project.
A viewer may not write in this project.
A viewer may not rename this project.
A viewer may not choose how long this project keeps deleted memories.
A viewer may not revert what somebody did in this project.
A viewer may not create an API key that can write in this project.
A viewer may not change or delete other people's API keys in this project.
A viewer may not delete this project.
An editor may not manage members of this project.
An editor may not rename this project.
An editor may not choose how long this project keeps deleted memories.
An editor may not revert what somebody did in this project.
An editor may not change or delete other people's API keys in this project.
An editor may not delete this project.
"""


def test_a_refusal_names_the_role_and_the_action() -> None:
    """All pairs of a role and an action that it does not allow."""
    in_organization = [
        access.refusal(role, action)
        for role, allowed in ORGANIZATION_ACTIONS.items()
        for action in ORGANIZATION_PHRASES
        if action not in allowed
    ]
    in_project = [
        access.refusal(role, action)
        for role, allowed in PROJECT_ACTIONS.items()
        for action in PROJECT_PHRASES
        if action not in allowed
    ]
    assert in_organization + in_project == SENTENCES.strip().splitlines()


def test_every_action_has_a_phrase_where_a_role_may_allow_it() -> None:
    assert set(ORGANIZATION_PHRASES) == ORGANIZATION_ACTIONS[OrganizationRole.OWNER]
    assert set(PROJECT_PHRASES) == PROJECT_ACTIONS[ProjectRole.ADMIN]


@pytest.mark.sqlite_only
async def test_an_editor_may_not_delete_another_persons_key(team: Team) -> None:
    keys = f"/api/projects/{team.project_id}/api-keys"
    [key, *_] = (await team["project_admin"].get(keys)).json()["api_keys"]
    answer = await team["editor"].delete(f"{keys}/{key['id']}")
    assert answer.status_code == 403
    assert answer.json()["detail"] == "An editor may not change or delete other people's API keys in this project."


CHANGES = {
    OrganizationRole.OWNER: {OrganizationRole.ADMIN, OrganizationRole.MEMBER},
    OrganizationRole.ADMIN: {OrganizationRole.MEMBER},
    OrganizationRole.MEMBER: set(),
}


@pytest.mark.parametrize("actor", OrganizationRole)
@pytest.mark.parametrize("target", OrganizationRole)
def test_whom_a_role_may_change(actor: OrganizationRole, target: OrganizationRole) -> None:
    assert access.may_change(actor, target, is_self=False) is (target in CHANGES[actor])
    assert access.may_change(target, target, is_self=True) is (target is not OrganizationRole.OWNER)
