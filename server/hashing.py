"""Random tokens, and the hashes that tokens and passwords are stored as.

A token is a prefix and 32 random base62 characters. It is stored and looked up as SHA-256: 190 random bits need no slow
hash. A password is stored as argon2id.
"""

import base64
import contextlib
import hashlib
import secrets
import string
import threading
import zlib
from collections.abc import Iterator

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from server import waits
from server.errors import Unavailable
from server.text import characters

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
_HASHES_AT_ONCE = 3
"""How many hashes are computed at the same time. Each takes 64 MiB and several threads."""

_hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)


def hash_of_no_password(hasher: PasswordHasher) -> str:
    """Return a hash that costs as much to verify as the hasher's own, and that no password matches.

    Nothing is hashed for it, because that would take a tenth of a second of every start. The format is PHC's.
    """
    random = (secrets.token_bytes(size) for size in (hasher.salt_len, hasher.hash_len))
    salt, output = (base64.b64encode(part).decode("ascii").rstrip("=") for part in random)
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${output}"


_HASH_OF_NO_PASSWORD = hash_of_no_password(_passwords)


def new_token(prefix: str) -> str:
    """Return `prefix` and 190 random bits."""
    return prefix + "".join(secrets.choice(BASE62) for _ in range(_RANDOM_LENGTH))


def new_api_key() -> str:
    """Return `sk_im_` + 32 random characters + a 6-character checksum.

    With the checksum, a mistyped key is recognized without a database, and secret scanners can recognize keys.
    """
    body = new_token(API_KEY_PREFIX)
    return body + _checksum(body)


def is_api_key(text: str) -> bool:
    """Return whether the text has the form of an API key with a correct checksum."""
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    long_enough = len(body) >= len(API_KEY_PREFIX) + _RANDOM_LENGTH
    return body.startswith(API_KEY_PREFIX) and long_enough and body.isascii() and _checksum(body) == checksum


def token_hash(token: str) -> str:
    """Return SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def password_hash(password: str) -> str:
    """Return the argon2id hash, with the library's current parameters. Takes tens of milliseconds.

    Systems encode accents in two ways, so the hash is that of the composed form (RFC 8265). Raises Unavailable when too
    many others are being computed.
    """
    with _a_turn():
        return _passwords.hash(_composed(password))


def password_matches(stored: str | None, password: str) -> bool:
    """Return whether the password is correct. Takes as long without an account (`stored` is None) as with one.

    Earlier versions stored the hash of what was typed. Raises Unavailable when too many others are being computed.
    """
    forms = dict.fromkeys((_composed(password), password))
    with _a_turn():
        return any(_is_right(stored or _HASH_OF_NO_PASSWORD, form) for form in forms) and stored is not None


def _composed(password: str) -> str:
    return characters.normalize("NFC", password)


def _is_right(stored: str, password: str) -> bool:
    try:
        return _passwords.verify(stored, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


@contextlib.contextmanager
def _a_turn() -> Iterator[None]:
    with waits.counted() as left:
        has_turn = _hashing.acquire(timeout=left)
    if not has_turn:
        raise Unavailable
    try:
        yield
    finally:
        _hashing.release()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, len(BASE62))
        digits = BASE62[rest] + digits
    return digits
