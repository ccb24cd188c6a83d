"""The tables, one file per noun. Importing this package registers every table in `metadata`."""

from server.models.activity import ActivityEvent
from server.models.api_keys import ApiKey
from server.models.audit import AuditEvent
from server.models.base import metadata
from server.models.deletions import BegunDeletion, TrashedMemory
from server.models.imports import Import, StagedMemory
from server.models.index import (
    IndexOwner,
    IndexSurvey,
    IndexTask,
    IndexWorker,
    Installation,
    ProjectIndex,
    ProjectLanguages,
    WordIndexState,
)
from server.models.invitations import Invitation, InvitationProject
from server.models.memories import IdempotencyKey, Label, Memory, MemoryVersion, Piece
from server.models.notifications import Mail, Notification, SentLetter
from server.models.oauth import (
    AccessToken,
    AuthMethod,
    AuthorizationCode,
    AuthorizationRequest,
    ClientKind,
    OAuthClient,
    OAuthGrant,
    RefreshToken,
)
from server.models.organizations import Organization, OrganizationMember, OrganizationRole
from server.models.projects import Project, ProjectMember, ProjectRole
from server.models.saved_views import SavedView
from server.models.second_factors import PendingSignIn, RecoveryCode, SecondFactor
from server.models.sign_in import Identity, Passkey, UsedChallenge
from server.models.users import BrowserSession, MailedToken, User
