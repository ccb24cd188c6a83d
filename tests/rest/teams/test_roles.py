"""Who may do what: every action of the role tables, tried over HTTP by every role and credential."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from server.domain.access import ORGANIZATION_ACTIONS, PROJECT_ACTIONS, SCOPE_OF, Action
from server.models import ProjectRole
from server.principal import Scope
from tests.rest.conftest import said
from tests.support.team import CALLERS, KEYS, ORGANIZATION_ROLES, PROJECT_ROLES, TOKENS, Team

GOVERNING = ("owner", "admin")


@dataclass(frozen=True)
class Attempt:
    """One way to do what an action allows; `{…}` in the path and the body are filled in from the team."""

    action: Action
    method: str
    path: str
    body: object = None

    @property
    def is_in_project(self) -> bool:
        return "{project}" in f"{self.path}{self.body}" and "{organization}" not in self.path

    def __str__(self) -> str:
        return f"{self.action} {self.method} {self.path}"


IN_ORGANIZATION = "/api/organizations/{organization}"
IN_PROJECT = "/api/projects/{project}"
ATTEMPTS = (
    Attempt(Action.SEE, "GET", IN_ORGANIZATION),
    Attempt(Action.SEE, "GET", IN_ORGANIZATION + "/members"),
    Attempt(Action.LEAVE, "DELETE", IN_ORGANIZATION + "/members/{self}"),
    Attempt(Action.MANAGE_MEMBERS, "PUT", IN_ORGANIZATION + "/members/{target}", {"role": "admin"}),
    Attempt(Action.MANAGE_MEMBERS, "DELETE", IN_ORGANIZATION + "/members/{target}"),
    Attempt(
        Action.MANAGE_MEMBERS, "POST", IN_ORGANIZATION + "/invitations", {"email": "n@example.com", "role": "member"}
    ),
    Attempt(Action.CREATE_PROJECT, "POST", "/api/projects", {"name": "New one", "organization_id": "{organization}"}),
    Attempt(Action.SEE_AUDIT, "GET", IN_ORGANIZATION + "/audit"),
    Attempt(Action.OWN, "PUT", IN_ORGANIZATION + "/transfer-ownership", {"new_owner_id": "{target}"}),
    Attempt(Action.OWN, "DELETE", IN_ORGANIZATION),
    Attempt(Action.SEE, "GET", IN_PROJECT),
    Attempt(Action.SEE, "GET", IN_PROJECT + "/members"),
    Attempt(Action.LEAVE, "DELETE", IN_PROJECT + "/members/{self}"),
    Attempt(Action.MANAGE_MEMBERS, "PUT", IN_PROJECT + "/members/{target}", {"role": "editor"}),
    Attempt(Action.MANAGE_MEMBERS, "DELETE", IN_PROJECT + "/members/{target}"),
    Attempt(Action.MANAGE_MEMBERS, "POST", IN_PROJECT + "/members", {"user_id": "{member}", "role": "viewer"}),
    Attempt(Action.MANAGE_MEMBERS, "POST", IN_PROJECT + "/invitations", {"email": "n@example.com", "role": "viewer"}),
    Attempt(Action.READ, "GET", "/api/memories?project_id={project}"),
    Attempt(Action.READ, "GET", "/api/memories/stats?project_id={project}"),
    Attempt(Action.READ, "POST", "/api/memories/search?project_id={project}", {"query": "tea"}),
    Attempt(Action.WRITE, "POST", "/api/memories?project_id={project}", said("I like tea.")),
    Attempt(Action.WRITE, "DELETE", "/api/memories?project_id={project}"),
    Attempt(Action.CREATE_KEY, "POST", IN_PROJECT + "/api-keys", {"name": "writing"}),
    Attempt(Action.CREATE_READ_KEY, "POST", IN_PROJECT + "/api-keys", {"name": "reading", "permissions": ["read"]}),
    Attempt(Action.CREATE_READ_KEY, "GET", IN_PROJECT + "/api-keys"),
    Attempt(Action.DELETE_PROJECT, "DELETE", IN_PROJECT),
)
# Tried in a test of its own: the key must be somebody else's.
ELSEWHERE = {Action.DELETE_ANY_KEY}


def test_every_action_is_tried() -> None:
    assert {attempt.action for attempt in ATTEMPTS} | ELSEWHERE == set(Action)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
async def test_r17_each_role_may_do_what_the_table_says(attempt: Attempt, make_team: Callable[[], Team]) -> None:
    team = make_team()
    refused = {caller: expected(attempt, caller) for caller in CALLERS if expected(attempt, caller) != 200}
    assert {caller: await answer_of(attempt, caller, team) for caller in refused} == refused
    for caller in set(CALLERS) - set(refused):
        asked = team if attempt.method == "GET" else make_team()
        assert await answer_of(attempt, caller, asked) == 200, caller


def expected(attempt: Attempt, caller: str) -> int:
    """The status that follows from the tables alone."""
    if caller == "anonymous":
        return 401
    if caller in KEYS or caller in TOKENS:
        return _expected_of_key(attempt, caller)
    if caller == "outsider":
        return 404
    if not attempt.is_in_project:
        allowed = attempt.action in ORGANIZATION_ACTIONS[ORGANIZATION_ROLES[caller]]
    elif caller in GOVERNING:
        allowed = attempt.action in PROJECT_ACTIONS[ProjectRole.ADMIN]
    elif caller not in PROJECT_ROLES:
        return 404
    else:
        allowed = attempt.action in PROJECT_ACTIONS[PROJECT_ROLES[caller]]
    return _stays(attempt, caller) if allowed else 403


def _expected_of_key(attempt: Attempt, caller: str) -> int:
    scope = SCOPE_OF.get(attempt.action) if attempt.is_in_project else None
    has_scope = scope is Scope.READ or (scope is Scope.WRITE and caller in ("write_key", "write_token"))
    return 200 if has_scope else 403


def _stays(attempt: Attempt, caller: str) -> int:
    """Who owns or governs cannot leave without handing that over first; a project's creator-owner stays its admin."""
    if attempt.action is not Action.LEAVE:
        return 200
    return 409 if caller == "owner" or (attempt.is_in_project and caller == "admin") else 200


async def answer_of(attempt: Attempt, caller: str, team: Team) -> int:
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
    answer = await team[caller].send(attempt.method, path, body)
    return answer.status_code
