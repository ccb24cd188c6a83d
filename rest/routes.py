"""Every REST route on one screen; the OpenAPI document is made from this table."""

from rest import (
    api_keys,
    connections,
    health,
    invitations,
    members,
    memories,
    notifications,
    openapi,
    organizations,
    projects,
    sdk,
    search,
    users,
)
from rest.endpoint import Endpoint, Reach, routes
from rest.scoping import InProject, OfUser
from server.domain.memories import MemoryChange, NewMemory
from server.limits import Bucket

ANYBODY, SESSION = Reach.ANYBODY, Reach.SESSION

# fmt: off
ENDPOINTS = (
    Endpoint("POST", "/api/memories", memories.create, memories.MemoryCreated, NewMemory, InProject,
             bucket=Bucket.MEMORY_ADD, is_idempotent=True),
    Endpoint("GET", "/api/memories", memories.list_all, memories.MemoryList, query=memories.ListQuery),
    Endpoint("DELETE", "/api/memories", memories.delete_all, memories.DeletedAll, query=OfUser),
    Endpoint("POST", "/api/memories/batch", memories.create_batch, memories.BatchCreated, memories.Batch, InProject,
             bucket=Bucket.MEMORY_ADD, is_idempotent=True),
    Endpoint("POST", "/api/memories/search", search.find, search.FoundList, search.Search, InProject,
             bucket=Bucket.MEMORY_SEARCH),
    Endpoint("GET", "/api/memories/stats", memories.stats, memories.StatsView, query=InProject),
    Endpoint("GET", "/api/memories/{memory_id}", memories.get, memories.MemoryView),
    Endpoint("PUT", "/api/memories/{memory_id}", memories.update, memories.MemoryView, MemoryChange),
    Endpoint("DELETE", "/api/memories/{memory_id}", memories.delete, memories.Deleted),
    Endpoint("GET", "/api/memories/{memory_id}/history", memories.history, memories.MemoryHistory),

    Endpoint("POST", "/api/organizations", organizations.create, organizations.OrganizationCreated,
             organizations.NewOrganization, reach=SESSION, bucket=Bucket.ORGANIZATION_CREATE, failures=(409,)),
    Endpoint("GET", "/api/organizations", organizations.list_all, organizations.OrganizationList, reach=SESSION),
    Endpoint("GET", "/api/organizations/{organization_id}", organizations.get, organizations.OrganizationView,
             reach=SESSION),
    Endpoint("DELETE", "/api/organizations/{organization_id}", organizations.delete, organizations.DeletedWithAll,
             reach=SESSION, failures=(409,)),
    Endpoint("PUT", "/api/organizations/{organization_id}/transfer-ownership", organizations.transfer,
             organizations.Transferred, organizations.NewOwner, reach=SESSION, failures=(409,)),
    Endpoint("GET", "/api/organizations/{organization_id}/audit", organizations.list_events, organizations.EventList,
             query=organizations.EventQuery, reach=SESSION),
    Endpoint("GET", "/api/organizations/{organization_id}/members", members.list_of_organization, members.MemberList,
             reach=SESSION),
    Endpoint("PUT", "/api/organizations/{organization_id}/members/{user_id}", members.change_in_organization,
             members.RoleChanged, members.OrganizationRoleChange, reach=SESSION, failures=(409,)),
    Endpoint("DELETE", "/api/organizations/{organization_id}/members/{user_id}", members.remove_from_organization,
             members.MemberRemoved, reach=SESSION, failures=(409,)),
    Endpoint("POST", "/api/organizations/{organization_id}/invitations", invitations.create, invitations.InvitationSent,
             invitations.OrganizationInvitation, reach=SESSION, bucket=Bucket.INVITATION, failures=(409,)),
    Endpoint("DELETE", "/api/organizations/{organization_id}/invitations/{invitation_id}", invitations.cancel,
             invitations.InvitationEnded, reach=SESSION),

    Endpoint("POST", "/api/projects", projects.create, projects.ProjectCreated, projects.NewProject, reach=SESSION,
             bucket=Bucket.PROJECT_CREATE, failures=(409,)),
    Endpoint("GET", "/api/projects", projects.list_all, projects.ProjectList),
    Endpoint("GET", "/api/projects/{project_id}", projects.get, projects.ProjectView),
    Endpoint("DELETE", "/api/projects/{project_id}", projects.delete,
             organizations.DeletedWithAll, reach=SESSION),
    Endpoint("GET", "/api/projects/{project_id}/members", members.list_of_project, members.MemberList),
    Endpoint("POST", "/api/projects/{project_id}/members", members.add_to_project, members.MemberAdded,
             members.NewProjectMember, reach=SESSION, failures=(409,)),
    Endpoint("PUT", "/api/projects/{project_id}/members/{user_id}", members.change_in_project, members.RoleChanged,
             members.ProjectRoleChange, reach=SESSION, failures=(409,)),
    Endpoint("DELETE", "/api/projects/{project_id}/members/{user_id}", members.remove_from_project,
             members.MemberRemoved, reach=SESSION, failures=(409,)),
    Endpoint("POST", "/api/projects/{project_id}/invitations", invitations.create_for_project,
             invitations.InvitationSent, invitations.ProjectInvitation, reach=SESSION, bucket=Bucket.INVITATION,
             failures=(409,)),
    Endpoint("POST", "/api/projects/{project_id}/api-keys", api_keys.create, api_keys.ApiKeyCreated, api_keys.NewApiKey,
             reach=SESSION),
    Endpoint("GET", "/api/projects/{project_id}/api-keys", api_keys.list_all, api_keys.ApiKeyList, reach=SESSION),
    Endpoint("DELETE", "/api/projects/{project_id}/api-keys/{key_id}", api_keys.delete, api_keys.ApiKeyDeleted,
             reach=SESSION),

    Endpoint("GET", "/api/invitations/pending", invitations.list_pending, invitations.InvitationList, reach=SESSION),
    Endpoint("GET", "/api/invitations/{token}", invitations.show, invitations.InvitationView, reach=ANYBODY,
             failures=(404, 410, 503)),
    Endpoint("POST", "/api/invitations/{token}/accept", invitations.accept, invitations.InvitationAccepted,
             reach=SESSION, failures=(410,)),
    Endpoint("POST", "/api/invitations/{token}/decline", invitations.decline, invitations.InvitationEnded,
             reach=SESSION, failures=(410,)),

    Endpoint("GET", "/api/notifications", notifications.list_all, notifications.NotificationList, reach=SESSION),
    Endpoint("PUT", "/api/notifications/read-all", notifications.mark_all_read, notifications.MarkedRead,
             reach=SESSION),
    Endpoint("PUT", "/api/notifications/{notification_id}/read", notifications.mark_read, notifications.MarkedRead,
             reach=SESSION),

    Endpoint("GET", "/api/connections", connections.list_all, connections.ConnectionList, reach=SESSION),
    Endpoint("DELETE", "/api/connections/{connection_id}", connections.delete, connections.Disconnected,
             reach=SESSION),

    Endpoint("GET", "/api/users/me", users.me, users.UserView),
    Endpoint("DELETE", "/api/users/me", users.delete_me, organizations.DeletedWithAll, reach=SESSION, failures=(409,)),

    Endpoint("POST", "/v1/memories/temporal-search/", sdk.temporal_search, search.FoundList, sdk.TemporalSearch,
             InProject, bucket=Bucket.MEMORY_SEARCH),
    Endpoint("POST", "/v1/memories/tag-search/", sdk.tag_search, search.FoundList, sdk.TagSearch,
             InProject, bucket=Bucket.MEMORY_SEARCH),
    Endpoint("POST", "/v1/memories/people-search/", sdk.people_search, search.FoundList, sdk.PeopleSearch,
             InProject, bucket=Bucket.MEMORY_SEARCH),
    Endpoint("GET", "/v1/stats", sdk.stats, memories.StatsView, query=InProject),
    Endpoint("GET", "/v1/health", sdk.health, sdk.ServiceHealth, reach=ANYBODY),

    Endpoint("GET", "/health", health.health, health.Health, reach=ANYBODY, failures=(503,)),
    Endpoint("GET", "/health/live", health.live, health.Live, reach=ANYBODY),
    Endpoint("GET", "/health/ready", health.ready, health.Ready, reach=ANYBODY, failures=(503,)),
    Endpoint("GET", "/metrics", health.metrics, str, reach=ANYBODY, failures=(403,), media="text/plain"),

    Endpoint("GET", "/openapi.json", openapi.document, str, reach=ANYBODY),
    Endpoint("GET", "/docs", openapi.page, str, reach=ANYBODY, media="text/html"),
    Endpoint("GET", "/docs.css", openapi.style, str, reach=ANYBODY, media="text/css"),
)
# fmt: on

ROUTES = routes(ENDPOINTS)
