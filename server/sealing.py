"""Encryption at rest of what must be read again: queued letters and the secrets of authenticator apps.

Every purpose has its own key, derived from SECRET_KEY.
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


def seal_for(settings: Settings, purpose: Purpose) -> Fernet:
    """Return the seal of one purpose. Without SECRET_KEY this creates the key in DATA_DIR."""
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret_key(settings).encode())
    return Fernet(base64.urlsafe_b64encode(derived))
