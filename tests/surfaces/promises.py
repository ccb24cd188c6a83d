"""Every REST endpoint of the contract: a request, the shape of its answer, and its refusals.

`{…}` is replaced by an id from a team with one object of each kind. In a shape, `...` is any value and `ANYTHING` is
any content.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.rest.conftest import said

ANYTHING = object()
OWNER, ADMIN, EDITOR, VIEWER, OUTSIDER = "owner", "admin", "editor", "viewer", "outsider"
READ_KEY, WRITE_KEY, ANONYMOUS = "read_key", "write_key", "anonymous"

Shape = object
NEVER = "0" * 32


@dataclass(frozen=True)
class Refusal:
    """A variation of the request that must be refused, and the status."""

    status: int
    caller: str | None = None
    path: str | None = None
    body: object = None


@dataclass(frozen=True)
class Promise:
    method: str
    path: str
    caller: str
    shape: Shape
    body: object = None
    query: str = ""
    refusals: tuple[Refusal, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)


def fields(names: str, **more: Shape) -> dict[str, Shape]:
    return dict.fromkeys(names.split(), ...) | more


SOURCE = fields("kind id name")
MEMORY = fields(
    "id content user_id project_id created_at updated_at expires_at pinned", metadata=ANYTHING, source=SOURCE
)
FOUND = {"results": [fields("id content score created_at user_id", metadata=ANYTHING, source=SOURCE)]}
CASCADES = fields("projects members invitations api_keys grants memories")
ORGANIZATION = fields("id _id name ownerId type createdAt updatedAt role")
PROJECT = fields(
    "id _id name organizationId ownerId createdAt updatedAt role trash_days",
    userPermissions=fields("canRead canWrite canDelete canInvite"),
)
MEMBERS = {
    "members": [fields("userId email name role joinedAt")],
    "pending_invitations": [ANYTHING],
    "total_count": ...,
}
INVITED = fields(
    "invitation_id email organization_id project_id role token link expires_at message",
    project_assignments=[fields("project_id project_name role")],
)
OFFER = fields("invitation_id email organization_name project_name role status expires_at invited_by")
MESSAGE = fields("message")
UNSEEN = Refusal(404, OUTSIDER)
NOBODY = Refusal(401, ANONYMOUS)
NO_KEY = Refusal(403, WRITE_KEY)
PROJECTS, ORGANIZATIONS = "/api/projects/{project_id}", "/api/organizations/{organization_id}"
TEA = said("I like tea.")

MEMORIES = (
    Promise("POST", "/api/memories", WRITE_KEY,
            fields("success message memory_id", operations=[fields("id memory event")]), TEA,
            refusals=(NOBODY, Refusal(403, READ_KEY, body=TEA), Refusal(400, body={}), Refusal(415))),
    Promise("GET", "/api/memories", READ_KEY, fields("total limit offset", results=[MEMORY]),
            query="?limit=1&offset=0&tags=&topic_category=", refusals=(NOBODY, Refusal(400, OWNER))),
    Promise("DELETE", "/api/memories", WRITE_KEY, fields("message deleted_count"), query="?user_id=u",
            refusals=(NOBODY, Refusal(403, READ_KEY))),
    Promise("POST", "/api/memories/batch", WRITE_KEY, {"results": [fields("memory_id")], "message": ...},
            {"memories": [TEA, TEA]}, refusals=(NOBODY, Refusal(400, body={"memories": []}))),
    Promise("POST", "/api/memories/search", READ_KEY, FOUND, {"query": "tea", "filters": {"limit": 1}},
            refusals=(NOBODY, Refusal(400, body={"query": "tea", "filters": {"limit": 0}}))),
    Promise("GET", "/api/memories/stats", READ_KEY, fields("total this_week tag_count"), refusals=(NOBODY,)),
    Promise("GET", "/api/memories/context", READ_KEY,
            {"text": ..., "memories": [fields("id content pinned created_at")]}, query="?budget=4000",
            refusals=(NOBODY, Refusal(400, OWNER))),
    Promise("GET", "/api/memories/trash", READ_KEY, {"results": ANYTHING, "total": ...},
            query="?limit=1&offset=0&user_id=u", refusals=(NOBODY, Refusal(400, OWNER))),
    Promise("GET", "/api/memories/{memory_id}", READ_KEY, MEMORY, refusals=(NOBODY, UNSEEN)),
    Promise("PUT", "/api/memories/{memory_id}", WRITE_KEY, MEMORY, {"text": "I like coffee."},
            refusals=(NOBODY, Refusal(403, READ_KEY, body={"text": "x"}), Refusal(400, body={"text": ""}))),
    Promise("PATCH", "/api/memories/{memory_id}", WRITE_KEY, MEMORY, {"tags": ["hot"]},
            refusals=(NOBODY, UNSEEN, Refusal(403, READ_KEY), Refusal(400, body={"tag": "hot"}))),
    Promise("POST", "/api/memories/{memory_id}/restore", WRITE_KEY, MEMORY, {"version": 1},
            refusals=(NOBODY, UNSEEN, Refusal(403, READ_KEY), Refusal(400, body={"version": 0}),
                      Refusal(404, body={"version": 99}))),
    Promise("GET", "/api/memories/{memory_id}/history", READ_KEY,
            {"results": [fields("version content updated_at updated_by", metadata=ANYTHING, source=SOURCE)]},
            refusals=(NOBODY, UNSEEN)),
    Promise("DELETE", "/api/memories/{memory_id}", WRITE_KEY, MESSAGE,
            refusals=(NOBODY, UNSEEN, Refusal(403, READ_KEY))),
    Promise("POST", "/v1/memories/temporal-search/", READ_KEY, FOUND,
            {"temporal_query": "today", "semantic_query": None, "limit": 1},
            refusals=(NOBODY, Refusal(400, body={"temporal_query": "someday"}))),
    Promise("POST", "/v1/memories/tag-search/", READ_KEY, FOUND,
            {"tags": ["a"], "semantic_query": None, "match_all": False, "limit": 1},
            refusals=(NOBODY, Refusal(400, body={"tags": []}))),
    Promise("POST", "/v1/memories/people-search/", READ_KEY, FOUND, {"people": ["Ann"], "limit": 1},
            refusals=(NOBODY, Refusal(400, body={}))),
    Promise("GET", "/v1/stats", READ_KEY, fields("total this_week tag_count"), refusals=(NOBODY,)),
)  # fmt: skip

IN_ORGANIZATIONS = (
    Promise("POST", "/api/organizations", OWNER, fields("organization_id id name role message"), {"name": "Lab"},
            refusals=(NOBODY, NO_KEY, Refusal(400, body={"name": "a"}), Refusal(409, body={"name": "ACME"}))),
    Promise("GET", "/api/organizations", OWNER, {"organizations": [ORGANIZATION]}, refusals=(NOBODY, NO_KEY)),
    Promise("GET", ORGANIZATIONS, VIEWER, ORGANIZATION, refusals=(NOBODY, NO_KEY, UNSEEN)),
    Promise("PATCH", ORGANIZATIONS, OWNER, ORGANIZATION, {"name": "Renamed"},
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, VIEWER), Refusal(400, body={"name": "a"}),
                      Refusal(409, path="/api/organizations/{personal_id}", body={"name": "ACME"}))),
    Promise("GET", ORGANIZATIONS + "/members", VIEWER, MEMBERS, refusals=(NOBODY, NO_KEY, UNSEEN)),
    Promise("PUT", ORGANIZATIONS + "/members/{user_id}", OWNER, fields("message user_id role invitations"),
            {"role": "admin"},
            refusals=(NOBODY, NO_KEY, Refusal(403, VIEWER, body={"role": "admin"}),
                      Refusal(400, body={"role": "owner"}),
                      Refusal(409, path=ORGANIZATIONS + "/members/{owner_id}", body={"role": "member"}))),
    Promise("DELETE", ORGANIZATIONS + "/members/{user_id}", OWNER, fields("message user_id api_keys invitations"),
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, VIEWER),
                      Refusal(409, path=ORGANIZATIONS + "/members/{owner_id}"))),
    Promise("POST", ORGANIZATIONS + "/invitations", OWNER, INVITED,
            {"email": "n@example.com", "role": "member", "projectIds": ["{project_id}"],
             "projectRoles": {"{project_id}": "editor"}},
            refusals=(NOBODY, NO_KEY, Refusal(403, VIEWER, body={"email": "n@example.com", "role": "member"}),
                      Refusal(400, body={"email": "n", "role": "member"}),
                      Refusal(409, body={"email": "{owner_email}", "role": "member"}))),
    Promise("DELETE", ORGANIZATIONS + "/invitations/{invitation_id}", OWNER, MESSAGE,
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, VIEWER),
                      Refusal(404, path=ORGANIZATIONS + "/invitations/inv_" + NEVER))),
    Promise("PUT", ORGANIZATIONS + "/transfer-ownership", OWNER, fields("message organization_id new_owner_id"),
            {"new_owner_id": "{user_id}"},
            refusals=(NOBODY, NO_KEY, Refusal(403, VIEWER, body={"new_owner_id": "{user_id}"}), Refusal(400, body={}),
                      Refusal(404, body={"new_owner_id": "user_" + NEVER}),
                      Refusal(409, body={"new_owner_id": "{owner_id}"}))),
    Promise("GET", ORGANIZATIONS + "/audit", OWNER,
            {"events": [fields("id type actor_id target created_at", metadata=ANYTHING)]}, query="?limit=1",
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, VIEWER),
                      Refusal(400, path=ORGANIZATIONS + "/audit?limit=0"))),
    Promise("DELETE", ORGANIZATIONS, OWNER, {"message": ..., "cascades": CASCADES},
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, VIEWER),
                      Refusal(409, path="/api/organizations/{personal_id}"))),
)  # fmt: skip

IN_PROJECTS = (
    Promise("POST", "/api/projects", OWNER, fields("project_id id name organization_id role message"),
            {"name": "Notes", "organization_id": "{organization_id}"},
            refusals=(NOBODY, NO_KEY, Refusal(400, body={"name": "Notes"}),
                      Refusal(403, VIEWER, body={"name": "Notes", "organization_id": "{organization_id}"}),
                      Refusal(404, OUTSIDER, body={"name": "Notes", "organization_id": "{organization_id}"}),
                      Refusal(409, body={"name": "wiki", "organization_id": "{organization_id}"}))),
    Promise("GET", "/api/projects", READ_KEY, {"projects": [PROJECT], "total_count": ...}, refusals=(NOBODY,)),
    Promise("GET", PROJECTS, READ_KEY, PROJECT, refusals=(NOBODY, UNSEEN)),
    Promise("PATCH", PROJECTS, ADMIN, PROJECT, {"name": "Renamed"},
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, VIEWER), Refusal(400, body={"name": "a"}),
                      Refusal(409, body={"name": "SECOND"}))),
    Promise("GET", PROJECTS + "/activity", VIEWER,
            {"events": [fields("id kind actor_id actor_name query count created_at", memory_ids=ANYTHING,
                               source=SOURCE)]},
            refusals=(NOBODY, UNSEEN)),
    Promise("POST", PROJECTS + "/revert", ADMIN, fields("dry_run adds changes deletions skipped"),
            {"source_id": f"key_{NEVER}", "since": "2026-01-01T00:00:00Z", "dry_run": True},
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, EDITOR), Refusal(400, body={"source_id": "x"}))),
    Promise("GET", PROJECTS + "/members", READ_KEY, MEMBERS, refusals=(NOBODY, UNSEEN)),
    Promise("POST", PROJECTS + "/members", OWNER, fields("message project_id user_id role"),
            {"user_id": "{member_id}", "role": "viewer"},
            refusals=(NOBODY, Refusal(403, WRITE_KEY, body={"user_id": "{member_id}", "role": "viewer"}),
                      Refusal(403, EDITOR, body={"user_id": "{member_id}", "role": "viewer"}),
                      Refusal(400, body={"user_id": "{member_id}", "role": "owner"}),
                      Refusal(404, body={"user_id": "user_" + NEVER, "role": "viewer"}),
                      Refusal(409, body={"user_id": "{user_id}", "role": "viewer"}))),
    Promise("PUT", PROJECTS + "/members/{user_id}", OWNER, fields("message user_id role invitations"),
            {"role": "editor"},
            refusals=(NOBODY, Refusal(403, EDITOR, body={"role": "editor"}), Refusal(400, body={"role": "member"}),
                      Refusal(409, path=PROJECTS + "/members/{owner_id}", body={"role": "viewer"}))),
    Promise("DELETE", PROJECTS + "/members/{user_id}", OWNER, fields("message user_id api_keys invitations"),
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, EDITOR),
                      Refusal(409, path=PROJECTS + "/members/{owner_id}"))),
    Promise("POST", PROJECTS + "/invitations", OWNER, INVITED, {"email": "n@example.com", "role": "viewer"},
            refusals=(NOBODY, Refusal(403, EDITOR, body={"email": "n@example.com", "role": "viewer"}),
                      Refusal(400, body={"email": "n@example.com", "role": "member"}),
                      Refusal(409, body={"email": "{owner_email}", "role": "viewer"}))),
    Promise("POST", PROJECTS + "/api-keys", EDITOR,
            fields("api_key prefix key_prefix id api_key_id name expires_at created_at message", permissions=[...]),
            {"name": "Laptop", "permissions": ["read"], "expires_in_days": 3650},
            refusals=(NOBODY, Refusal(403, WRITE_KEY, body={"name": "x"}), Refusal(403, VIEWER, body={"name": "x"}),
                      Refusal(400, body={"name": "x", "expires_in_days": 3651}), Refusal(409, ADMIN))),
    Promise("GET", PROJECTS + "/api-keys", EDITOR,
            {"api_keys": [fields("id name prefix created_by created_at last_used_at expires_at", permissions=[...])],
             "total": ...}, refusals=(NOBODY, NO_KEY, UNSEEN)),
    Promise("PATCH", PROJECTS + "/api-keys/{key_id}", OWNER,
            fields("id name prefix created_by created_at last_used_at expires_at", permissions=[...]),
            {"name": "Renamed"}, refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(400, body={"name": ""}))),
    Promise("DELETE", PROJECTS + "/api-keys/{key_id}", OWNER, fields("message id"),
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, EDITOR), Refusal(404, VIEWER))),
    Promise("DELETE", PROJECTS, OWNER, {"message": ..., "cascades": CASCADES},
            refusals=(NOBODY, NO_KEY, UNSEEN, Refusal(403, EDITOR))),
)  # fmt: skip

OF_ONESELF = (
    Promise("GET", "/api/invitations/pending", OUTSIDER, [OFFER], refusals=(NOBODY, NO_KEY)),
    Promise("GET", "/api/invitations/{token}", ANONYMOUS, OFFER,
            refusals=(Refusal(404, path="/api/invitations/x"), Refusal(410, path="/api/invitations/{ended}"))),
    Promise("POST", "/api/invitations/{token}/accept", OUTSIDER,
            fields("message organization_id organization_name projects_added role"),
            refusals=(NOBODY, NO_KEY, Refusal(403, VIEWER), Refusal(404, path="/api/invitations/x/accept"),
                      Refusal(410, path="/api/invitations/{ended}/accept"))),
    Promise("POST", "/api/invitations/{token}/decline", OUTSIDER, MESSAGE,
            refusals=(NOBODY, NO_KEY, Refusal(403, VIEWER), Refusal(404, path="/api/invitations/x/decline"),
                      Refusal(410, path="/api/invitations/{ended}/decline"))),
    Promise("GET", "/api/notifications", OUTSIDER,
            {"notifications": [fields("id type title message read created_at", metadata=ANYTHING)],
             "unread_count": ...}, refusals=(NOBODY, NO_KEY)),
    Promise("PUT", "/api/notifications/{notification_id}/read", OUTSIDER, fields("message count"),
            refusals=(NOBODY, NO_KEY, Refusal(404, OWNER))),
    Promise("PUT", "/api/notifications/read-all", OUTSIDER, fields("message count"), refusals=(NOBODY, NO_KEY)),
    Promise("GET", "/api/users/me", READ_KEY, fields("id user_id email name email_verified created_at updated_at"),
            refusals=(NOBODY,)),
    Promise("PATCH", "/api/users/me", VIEWER, fields("id user_id email name email_verified created_at updated_at"),
            {"name": "Renamed"}, refusals=(NOBODY, NO_KEY, Refusal(400, body={"name": ""}))),
    Promise("DELETE", "/api/users/me", VIEWER, {"message": ..., "cascades": CASCADES},
            refusals=(NOBODY, NO_KEY, Refusal(409, OWNER))),
)  # fmt: skip

PROMISES = (*MEMORIES, *IN_ORGANIZATIONS, *IN_PROJECTS, *OF_ONESELF)
# These have tests of their own: tests/rest/test_health.py, test_openapi.py, tests/oauth.
ELSEWHERE = ("/health", "/v1/health", "/metrics", "/openapi.json", "/docs", "/api/connections")
