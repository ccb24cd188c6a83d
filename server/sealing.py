"""Encryption of stored secrets that the server must read again: queued letters, authenticator secrets, cookies.

Each purpose has its own key, derived from SECRET_KEY.
"""

import base64
from enum import StrEnum

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.settings import Settings, secret_key


class Purpose(StrEnum):
    MAIL = "selfmemory mail"
    SECOND_FACTOR = "selfmemory second factor"
    SIGN_IN = "selfmemory sign-in"
    KEY_ID = "selfmemory mail key id"  # nothing is sealed for this purpose
    KNOWN_BROWSER = "selfmemory known browser"


def seal_for(settings: Settings, purpose: Purpose) -> Fernet:
    """Return the seal for one purpose. Without SECRET_KEY this creates the key in DATA_DIR."""
    return Fernet(base64.urlsafe_b64encode(_derive(settings, purpose, 32)))


def key_id(settings: Settings) -> str:
    """Return an id of SECRET_KEY that reveals only whether two keys differ."""
    return _derive(settings, Purpose.KEY_ID, 8).hex()


def _derive(settings: Settings, purpose: Purpose, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt=None, info=purpose.encode()).derive(secret_key(settings).encode())
