"""A client's request for access and its user's decision. Both stay on the server, so that a form cannot change them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import access, audit, names
from server.domain.access import Action, require_project_role, require_session
from server.domain.audit import Event
from server.domain.locks import lock_organization_of
from server.domain.retention import keep_first
from server.errors import Conflict, NotFound
from server.hashing import CODE_PREFIX, new_token, token_hash
from server.models import (
    AuthorizationCode,
    AuthorizationRequest,
    OAuthClient,
    OAuthGrant,
    Organization,
    Project,
    ProjectRole,
)
from server.models.base import now
from server.models.organizations import OrganizationKind
from server.principal import Principal, Scope

LIFETIME = timedelta(minutes=30)
MAX_OPEN_REQUESTS = 20
"""Maximum number of open requests per browser session."""


class RequestEnded(NotFound):
    sentence = "This request has ended. Go back to the application and connect again."


class AlreadyAnswered(Conflict):
    sentence = "This request was already answered, and the application is connected."


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """An authorization request that has been checked against its client."""

    client_id: str
    redirect_uri: str
    scopes: tuple[Scope, ...]
    state: str | None
    code_challenge: str


@dataclass(frozen=True, slots=True)
class ProjectChoice:
    """A project that the user can connect; `scopes` are the requested ones that the user can grant there."""

    project_id: str
    name: str
    organization: str
    scopes: list[str]
    is_preferred: bool


def begin(session: Session, principal: Principal, consent: ConsentRequest) -> AuthorizationRequest:
    """Store a request that only the principal's browser session can answer. Delete the session's oldest requests."""
    require_session(principal)
    _end_oldest(session, principal.credential_id)
    request = AuthorizationRequest(
        id=new_token("request_"),
        session_id=principal.credential_id,
        client_id=consent.client_id,
        redirect_uri=consent.redirect_uri,
        scopes=[scope.value for scope in consent.scopes],
        state=consent.state,
        code_challenge=consent.code_challenge,
        expires_at=now() + LIFETIME,
    )
    session.add(request)
    return request


def _order_of(project: Project, organization: Organization) -> tuple[bool, tuple[str, str], tuple[str, str]]:
    """Return the key that sorts projects by organization, the personal ones first, and by name."""
    is_custom = organization.kind == OrganizationKind.CUSTOM
    return is_custom, names.order_of(organization.name), names.order_of(project.name)


def choices(session: Session, principal: Principal, scopes: Sequence[Scope]) -> list[ProjectChoice]:
    """Return the projects that the principal can reach. The preferred one is the project that was connected last."""
    connected = sa.select(col(OAuthGrant.project_id)).where(col(OAuthGrant.user_id) == principal.user_id)
    preferred_id = session.execute(connected.order_by(col(OAuthGrant.id).desc()).limit(1)).scalar_one_or_none()
    rows = session.execute(access.reachable_projects(principal).add_columns(Organization)).all()
    return [
        ProjectChoice(
            project_id=project.id,
            name=project.name,
            organization=organization.name,
            scopes=access.grantable(ProjectRole(role), scopes),
            is_preferred=project.id == preferred_id,
        )
        for project, role, organization in sorted(rows, key=lambda row: _order_of(row[0], row[2]))
    ]


def was_read_only(session: Session, principal: Principal, client_id: str) -> bool:
    """Return whether the principal chose, when they last connected the client, that it may only read."""
    connected = sa.select(col(OAuthGrant.is_read_only)).where(
        col(OAuthGrant.user_id) == principal.user_id, col(OAuthGrant.client_id) == client_id
    )
    return session.execute(connected.order_by(col(OAuthGrant.id).desc()).limit(1)).scalar_one_or_none() is True


def approve(
    session: Session, principal: Principal, request_id: str, project_id: str, code_seconds: int, *, read_only: bool
) -> tuple[AuthorizationRequest, str]:
    """Grant the request on one project, with `read_only` only reading. Returns the request with the code.

    A second answer (a double click) replaces the first code. Raises RequestEnded, AlreadyAnswered once a code was
    used, NotFound for a project out of reach.
    """
    lock_organization_of(session, project_id)
    request = _open(session, principal, request_id)
    project, role = require_project_role(session, principal, project_id, Action.READ)
    asks_to_write = Scope.WRITE in request.scopes
    is_narrowed = read_only if asks_to_write else was_read_only(session, principal, request.client_id)
    scopes = access.grantable(role, [Scope.READ.value] if is_narrowed else request.scopes)
    code = new_token(CODE_PREFIX)
    session.add(
        AuthorizationCode(
            code_hash=token_hash(code),
            request_id=request.id,
            client_id=request.client_id,
            user_id=principal.user_id,
            project_id=project.id,
            redirect_uri=request.redirect_uri,
            scopes=scopes,
            is_read_only=is_narrowed,
            code_challenge=request.code_challenge,
            expires_at=now() + timedelta(seconds=code_seconds),
        )
    )
    session.execute(sa.update(OAuthClient).where(col(OAuthClient.id) == request.client_id).values(authorized_at=now()))
    audit.record(
        session, Event.ACCESS_GRANTED, principal.user_id, project.organization_id, project.id,
        client_id=request.client_id, scopes=" ".join(scopes),
    )  # fmt: skip
    return request, code


def deny(session: Session, principal: Principal, request_id: str) -> AuthorizationRequest:
    """Deny the request. Raises RequestEnded, AlreadyAnswered."""
    request = _open(session, principal, request_id)
    audit.record_account_event(session, Event.ACCESS_DENIED, principal.user_id, client_id=request.client_id)
    return request


def _end_oldest(session: Session, session_id: str) -> None:
    """Delete the oldest requests of the browser session, so that there is room for one more."""
    requests = sa.select(col(AuthorizationRequest.id)).where(col(AuthorizationRequest.session_id) == session_id)
    newest_first = requests.order_by(col(AuthorizationRequest.expires_at).desc())
    keep_first(session, AuthorizationRequest, newest_first, MAX_OPEN_REQUESTS - 1)


def _open(session: Session, principal: Principal, request_id: str) -> AuthorizationRequest:
    """Return the request of this session, locked. Deletes the unused code of an earlier answer.

    Raises RequestEnded, AlreadyAnswered.
    """
    require_session(principal)
    query = sa.select(AuthorizationRequest).where(
        col(AuthorizationRequest.id) == request_id,
        col(AuthorizationRequest.session_id) == principal.credential_id,
        col(AuthorizationRequest.expires_at) > now(),
    )
    request: AuthorizationRequest | None = session.execute(query.with_for_update()).scalar_one_or_none()
    if request is None:
        raise RequestEnded
    earlier = sa.select(AuthorizationCode).where(col(AuthorizationCode.request_id) == request.id).with_for_update()
    code = session.execute(earlier).scalar_one_or_none()
    if code is None:
        return request
    if code.used_at is not None:
        raise AlreadyAnswered
    session.delete(code)
    session.flush()
    return request
