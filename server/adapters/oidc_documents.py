"""What an OpenID provider publishes about itself: its endpoints, and the keys of its signatures."""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, import_key
from pydantic import BaseModel, model_validator


class Metadata(BaseModel):
    """The fields of the discovery document that we use (OpenID Connect Discovery section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    authorization_response_iss_parameter_supported: bool = False
    prompt_values_supported: list[str] = ["select_account"]

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, fields: object) -> object:
        """Take null as left out."""
        if not isinstance(fields, dict):
            return fields
        return {key: value for key, value in fields.items() if value is not None}

    @property
    def endpoints(self) -> list[str]:
        always = [self.authorization_endpoint, self.token_endpoint, self.jwks_uri]
        return always if self.userinfo_endpoint is None else [*always, self.userinfo_endpoint]

    @property
    def switch_prompt(self) -> dict[str, str]:
        """The parameter that lets a person choose another account than the provider's session has, if it is known."""
        prompt = next((one for one in ("select_account", "login") if one in self.prompt_values_supported), None)
        return {"prompt": prompt} if prompt else {}


class KeysDocument(BaseModel):
    """The provider's keys as it publishes them (RFC 7517)."""

    keys: list[Any]

    @property
    def usable(self) -> KeySet:
        """The keys that we can read: others, such as those of a curve that we do not know, are ignored (section 5).

        Raises ValueError if none is left.
        """
        keys: list[Key] = []
        for key in self.keys:
            with suppress(JoseError, LookupError, TypeError, ValueError):
                keys.append(import_key(key))
        if not keys:
            raise ValueError("no keys that can be read")
        return KeySet(keys)


@dataclass(frozen=True, slots=True)
class ProviderData:
    """The provider's metadata and keys, and the monotonic time at which they were read."""

    metadata: Metadata
    keys: KeySet
    context: ssl.SSLContext
    read_at: float
