"""The buckets that rate limits count in."""

from enum import StrEnum


class Bucket(StrEnum):
    """Each bucket's rate is the setting RATE_LIMIT_<NAME>."""

    MEMORY_ADD = "memory_add"
    MEMORY_SEARCH = "memory_search"
    MEMORY_CHANGE = "memory_change"
    ORGANIZATION_CREATE = "organization_create"
    PROJECT_CREATE = "project_create"
    INVITATION = "invitation"
    SIGN_UP = "sign_up"
    SIGN_IN = "sign_in"
    DOCUMENT = "document"
    REGISTRATION = "registration"
    REQUEST = "request"
    TOKEN_FAILURE = "token_failure"  # noqa: S105 - the bucket's name
