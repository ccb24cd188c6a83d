"""Secrets: random tokens and their hashes at rest, and passwords.

A token is `prefix + base62 random`; it is stored as SHA-256 and found by it (a slow hash would be wrong for 190 random
bits). A password is stored as argon2id.
"""

import hashlib
import secrets
import string
import zlib

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
API_KEY_PREFIX = "sk_im_"
ACCESS_TOKEN_PREFIX = "sm_at_"  # noqa: S105 - a public prefix
REFRESH_TOKEN_PREFIX = "sm_rt_"  # noqa: S105 - a public prefix
CODE_PREFIX = "sm_co_"
CLIENT_SECRET_PREFIX = "sm_cs_"  # noqa: S105 - a public prefix
SESSION_PREFIX = "sm_se_"
SECOND_STEP_PREFIX = "sm_ss_"
INVITATION_PREFIX = "sm_in_"
MAILED_PREFIX = "sm_ml_"

_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_passwords = PasswordHasher()
_NOBODY = _passwords.hash(secrets.token_urlsafe(16))


def new_token(prefix: str) -> str:
    """A token of 190 random bits."""
    return prefix + "".join(secrets.choice(BASE62) for _ in range(_RANDOM_LENGTH))


def new_api_key() -> str:
    """`sk_im_` + 32 random characters + 6 of checksum, so that scanners and a mistyped key need no database."""
    body = new_token(API_KEY_PREFIX)
    return body + _checksum(body)


def is_api_key(text: str) -> bool:
    """Whether the text has a key's shape and its checksum is right."""
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    long_enough = len(body) >= len(API_KEY_PREFIX) + _RANDOM_LENGTH
    return body.startswith(API_KEY_PREFIX) and long_enough and body.isascii() and _checksum(body) == checksum


def token_hash(token: str) -> str:
    """SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def password_hash(password: str) -> str:
    """argon2id with the library's current parameters; tens of milliseconds."""
    return _passwords.hash(password)


def password_matches(stored: str | None, password: str) -> bool:
    """Compares in the same time whether or not there is an account (`stored` None)."""
    try:
        _passwords.verify(stored or _NOBODY, password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    return stored is not None


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, len(BASE62))
        digits = BASE62[rest] + digits
    return digits
