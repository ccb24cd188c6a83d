"""The authenticated caller and the scopes of its credential."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from server.errors import InsufficientScope


class Scope(StrEnum):
    READ = "memories:read"
    WRITE = "memories:write"


INCLUDED = {Scope.READ: frozenset({Scope.READ}), Scope.WRITE: frozenset({Scope.READ, Scope.WRITE})}
ALL_SCOPES = frozenset(Scope)


class CredentialKind(StrEnum):
    SESSION = "session"
    API_KEY = "api_key"
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the kind's name, not a token


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `project_id` is None for a session, which reaches every project of its user."""

    user_id: str
    kind: CredentialKind
    credential_id: str
    project_id: str | None = None
    scopes: frozenset[Scope] = ALL_SCOPES
    credential_name: str = ""

    @property
    def is_session(self) -> bool:
        return self.kind is CredentialKind.SESSION

    def require(self, scope: Scope) -> None:
        """Raises InsufficientScope, which names every scope that is needed: write also needs read."""
        if scope not in self.scopes:
            raise InsufficientScope(sorted(INCLUDED[scope]))


class ExternalIdentity(NamedTuple):
    """The identity provider's statement about a person. `subject` is the provider's name for the account.

    `email` is "" unless the provider has confirmed that the address is this person's.
    """

    issuer: str
    subject: str
    email: str
    name: str


def with_implied(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """Return the scopes and those that they include: write includes read."""
    return frozenset().union(*(INCLUDED[scope] for scope in scopes))
