"""A client's request for access and its user's decision: kept on the server, so that a form can change neither."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import access, audit
from server.domain.access import Action, require_project_role, require_session
from server.domain.audit import Event
from server.domain.locks import lock_organization_of
from server.errors import Conflict, NotFound
from server.hashing import CODE_PREFIX, new_token, token_hash
from server.models import (
    AuthorizationCode,
    AuthorizationRequest,
    OAuthClient,
    OAuthGrant,
    Organization,
    ParkedRequest,
    Project,
    ProjectRole,
)
from server.models.base import now
from server.principal import Principal, Scope

LIFETIME = timedelta(minutes=30)


class RequestEnded(NotFound):
    sentence = "This request has ended. Go back to the application and connect again."


class AlreadyAnswered(Conflict):
    sentence = "This request was answered already, and the application is connected."


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """A request whose every part has been checked against its client."""

    client_id: str
    redirect_uri: str
    scopes: tuple[Scope, ...]
    state: str | None
    code_challenge: str


@dataclass(frozen=True, slots=True)
class ProjectChoice:
    """A project that may be connected, and how much of what is asked its user can give there."""

    project_id: str
    name: str
    organization: str
    scopes: list[str]
    is_preferred: bool


def park(session: Session, query: str) -> str:
    """Keep the query of a request whose user is not signed in yet; the id brings it back."""
    parked = ParkedRequest(id=new_token("parked_"), query=query, expires_at=now() + LIFETIME)
    session.add(parked)
    return parked.id


def parked_query(session: Session, parked_id: str) -> str:
    """Raises RequestEnded."""
    parked = session.get(ParkedRequest, parked_id)
    if parked is None or parked.expires_at <= now():
        raise RequestEnded
    return parked.query


def begin(session: Session, principal: Principal, asked: ConsentRequest) -> AuthorizationRequest:
    """Open a request in the principal's browser session; only there can it be answered."""
    require_session(principal)
    request = AuthorizationRequest(
        id=new_token("request_"),
        session_id=principal.credential_id,
        client_id=asked.client_id,
        redirect_uri=asked.redirect_uri,
        scopes=[scope.value for scope in asked.scopes],
        state=asked.state,
        code_challenge=asked.code_challenge,
        expires_at=now() + LIFETIME,
    )
    session.add(request)
    return request


def choices(session: Session, principal: Principal, scopes: Sequence[Scope]) -> list[ProjectChoice]:
    """The projects within the principal's reach; the one connected last is preferred."""
    last = sa.select(col(OAuthGrant.project_id)).where(col(OAuthGrant.user_id) == principal.user_id)
    preferred = session.execute(last.order_by(col(OAuthGrant.id).desc()).limit(1)).scalar_one_or_none()
    query = access.reachable_projects(principal).add_columns(col(Organization.name).label("organization"))
    rows = session.execute(query.order_by(col(Organization.kind).desc(), Organization.name, Project.name)).all()
    return [
        ProjectChoice(
            project.id, project.name, organization, access.grantable(ProjectRole(role), scopes), project.id == preferred
        )
        for project, role, organization in rows
    ]


def approve(
    session: Session, principal: Principal, request_id: str, project_id: str, code_seconds: int
) -> tuple[AuthorizationRequest, str]:
    """Grant the request on one project; returns it with the authorization code.

    Answered twice (a double click), the later code counts. Raises RequestEnded, AlreadyAnswered once a code was used,
    NotFound for a project out of reach.
    """
    lock_organization_of(session, project_id)
    request = _open(session, principal, request_id)
    project, role = require_project_role(session, principal, project_id, Action.READ)
    scopes = access.grantable(role, request.scopes)
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
    """Raises RequestEnded, AlreadyAnswered."""
    request = _open(session, principal, request_id)
    audit.record_account_event(session, Event.ACCESS_DENIED, principal.user_id, client_id=request.client_id)
    return request


def _open(session: Session, principal: Principal, request_id: str) -> AuthorizationRequest:
    """The request of this very session, locked, without the code that an earlier answer may have made."""
    require_session(principal)
    query = sa.select(AuthorizationRequest).where(
        col(AuthorizationRequest.id) == request_id,
        col(AuthorizationRequest.session_id) == principal.credential_id,
        col(AuthorizationRequest.expires_at) > now(),
    )
    request: AuthorizationRequest | None = session.execute(query.with_for_update()).scalar_one_or_none()
    if request is None:
        raise RequestEnded
    made = sa.select(AuthorizationCode).where(col(AuthorizationCode.request_id) == request.id).with_for_update()
    code = session.execute(made).scalar_one_or_none()
    if code is not None:
        if code.used_at is not None:
            raise AlreadyAnswered
        session.delete(code)
        session.flush()
    return request
