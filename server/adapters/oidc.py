"""Signing in through the OpenID Connect provider of the settings (OpenID Connect Core, the code flow with PKCE)."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from server.adapters.oidc_documents import KeysDocument, Metadata, ProviderData
from server.errors import Forbidden, Unavailable
from server.network.urls import is_loopback
from server.principal import ExternalIdentity
from server.settings import Settings

log = logging.getLogger(__name__)

CALLBACK = "/sign-in/provider/callback"
SECONDS = 10
"""A sign-in waits at most this long for all its requests to the provider together."""

FRESH_SECONDS = 86_400
AGAIN_SECONDS = 60
"""An unknown key makes the server download the provider's keys again, but only once in this many seconds."""

AWAY_SECONDS = 5
"""After a failure, the provider gets no requests for this long, so that strangers cannot make this server flood it."""

NONSENSE = (JoseError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What libraries raise for an answer that is not what it should be, including Python's own errors."""

LONGEST_SUBJECT = 255
"""How long a subject may be (OpenID Connect Core section 2). An index of Postgres cannot hold much longer ones."""

LEEWAY_SECONDS = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
"""Signatures with a public key: never `none`, and never the client's secret."""


_SIGNED = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
"""Ignores what a provider adds to a header, as RFC 7515 section 4 asks: Kanidm, for example, adds `client_id`."""


class ProviderAway(Unavailable):
    """The provider does not answer, or its answer makes no sense."""


class ProviderRefused(Forbidden):
    """The provider did not sign the person in, or its answer is not valid."""


class Attempt(NamedTuple):
    """The secrets of one sign-in. Only the browser that began it keeps them, until the provider redirects it back."""

    state: str
    nonce: str
    verifier: str


class IdentityProvider:
    """The provider in the settings. Reads its metadata and keys when first needed, and keeps them for a day."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.oidc_name or urlsplit(settings.oidc_issuer).hostname or ""
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret.get_secret_value()
        self._redirect_uri = settings.public_url + CALLBACK
        self._data: ProviderData | None = None
        self._failed_at = -float(AWAY_SECONDS)
        self._reading = asyncio.Lock()

    @staticmethod
    def attempt(values: Mapping[str, str]) -> Attempt:
        """Rebuild the attempt from the values that the browser kept."""
        return Attempt(values["state"], values["nonce"], values["verifier"])

    async def begin(self, *, switches: bool = False) -> tuple[str, Attempt]:
        """Return the URL of the provider's page, and the attempt that this browser must keep. Raises ProviderAway.

        With `switches`, the person wants to use another account.
        """
        data = await self.provider_data()
        attempt = Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        async with self._client(data) as client:
            url, _ = client.create_authorization_url(
                data.metadata.authorization_endpoint,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
                **(data.metadata.switch_prompt if switches else {}),
            )
        return url, attempt

    async def finish(self, attempt: Attempt, code: str, issuer: str | None) -> ExternalIdentity:
        """Exchange the code and return who signed in. `issuer` is the answer's `iss` (RFC 9207), if it has one.

        Raises ProviderAway, ProviderRefused.
        """
        data = await self.provider_data()
        is_named = issuer is not None or data.metadata.authorization_response_iss_parameter_supported
        if is_named and issuer != data.metadata.issuer:
            raise self.refused("issuer")
        try:
            async with self._asking(), self._client(data) as client:
                token = await client.fetch_token(
                    data.metadata.token_endpoint, code=code, code_verifier=attempt.verifier
                )
                claims = await self._claims(token, attempt.nonce)
                if not claims.keys() >= {"email", "email_verified"} and data.metadata.userinfo_endpoint:
                    claims = await self._with_userinfo(client, data.metadata.userinfo_endpoint, claims)
        except AuthlibBaseError as error:
            raise self.refused(str(error.error or type(error).__name__)) from error
        return identity_of(data.metadata.issuer, claims)

    async def provider_data(self, *, newer_than: float | None = None) -> ProviderData:
        """Return the provider's metadata and keys, read after `newer_than` if it is given. Raises ProviderAway."""
        async with self._reading:
            data, moment = self._data, time.monotonic()
            oldest = moment - FRESH_SECONDS if newer_than is None else newer_than
            if data is not None and data.read_at > oldest:
                return data
            if moment - self._failed_at >= AWAY_SECONDS:
                try:
                    async with self._asking():
                        self._data = await self._read()
                except ProviderAway:
                    self._failed_at = time.monotonic()
            if self._data is None:
                raise self._away()
            return self._data

    async def _read(self) -> ProviderData:
        context = await asyncio.to_thread(httpx2.create_ssl_context)
        async with httpx2.AsyncClient(verify=context, timeout=SECONDS) as client:
            url = f"{self._issuer}/.well-known/openid-configuration"
            metadata = Metadata.model_validate((await client.get(url)).raise_for_status().json())
            if metadata.issuer.rstrip("/") != self._issuer:
                raise ValueError("another issuer")
            for endpoint in metadata.endpoints:
                if not endpoint.startswith("https://") and not (is_loopback(self._issuer) and is_loopback(endpoint)):
                    raise ValueError("an endpoint without https")
            keys = KeysDocument.model_validate((await client.get(metadata.jwks_uri)).raise_for_status().json())
        return ProviderData(metadata, keys.usable, context, time.monotonic())

    async def _claims(self, token: dict[str, object], nonce: str) -> dict[str, object]:
        """Return the verified claims of the ID token (OpenID Connect Core section 3.1.3.7). Raises ProviderRefused."""
        data = await self.provider_data()
        try:
            decoded = self._decoded(data, token)
        except NONSENSE:  # the provider may have new keys
            data = await self.provider_data(newer_than=time.monotonic() - AGAIN_SECONDS)
            try:
                decoded = self._decoded(data, token)
            except NONSENSE as error:
                raise self.refused(type(error).__name__) from error
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {"iss": {"essential": True, "value": data.metadata.issuer},
             "aud": {"essential": True, "value": self._client_id}},
            {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
        )  # fmt: skip
        try:
            claims.validate(leeway=LEEWAY_SECONDS)
        except NONSENSE as error:
            raise self.refused(getattr(error, "description", "") or type(error).__name__) from error
        if not 1 <= len(subject := str(claims["sub"])) <= LONGEST_SUBJECT or not subject.isprintable():
            raise self.refused("subject")
        return dict(claims)

    def _decoded(self, data: ProviderData, token: dict[str, object]) -> jwt.Token:
        """Raises an error of `NONSENSE`."""
        return jwt.decode(str(token.get("id_token", "")), data.keys, registry=_SIGNED)

    async def _with_userinfo(
        self, client: AsyncOAuth2Client, endpoint: str, claims: dict[str, object]
    ) -> dict[str, object]:
        """Replace claims by those of the provider's userinfo endpoint, which must be about the same person (section
        5.3.2). What it says about an address is about the address that it names itself.
        """
        userinfo = (await client.get(endpoint)).raise_for_status().json()
        if not isinstance(userinfo, dict) or userinfo.get("sub") != claims["sub"]:
            raise self.refused("userinfo about another subject")
        return claims | userinfo

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Limit the time of the requests in the block, and translate their failures into ProviderAway."""
        try:
            async with asyncio.timeout(SECONDS):
                yield
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, OSError, *NONSENSE) as error:
            log.warning("identity provider unavailable", extra={"reason": type(error).__name__})
            raise self._away() from error

    @asynccontextmanager
    async def _client(self, data: ProviderData) -> AsyncIterator[AsyncOAuth2Client]:
        methods = data.metadata.token_endpoint_auth_methods_supported
        only_post = "client_secret_basic" not in methods and "client_secret_post" in methods
        async with AsyncOAuth2Client(
            self._client_id,
            self._client_secret,
            token_endpoint_auth_method="client_secret_post" if only_post else "client_secret_basic",
            scope="openid email profile",
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            verify=data.context,
            timeout=SECONDS,
            leeway=0,  # with leeway, a token that lasts a minute or less would never be usable
        ) as client:
            yield client

    def _away(self) -> ProviderAway:
        return ProviderAway(f"{self.name} does not answer right now. Try again in a minute, or sign in another way.")

    def refused(self, reason: str) -> ProviderRefused:
        """Return the error of a failed sign-in. Only the log gets the reason."""
        log.warning("sign-in through the identity provider refused", extra={"reason": reason[:200]})
        return ProviderRefused(f"{self.name} did not sign you in. Try again, or sign in another way.")


def open_provider(settings: Settings) -> IdentityProvider | None:
    """Return the provider in the settings, if there is one, without contacting it."""
    return IdentityProvider(settings) if settings.oidc_issuer else None


def identity_of(issuer: str, claims: dict[str, object]) -> ExternalIdentity:
    """Return the person in verified claims. An address that the provider has not confirmed is left out."""
    email, name = claims.get("email"), claims.get("name")
    # Some providers write the boolean as text.
    is_confirmed = claims.get("email_verified") in (True, "true")
    return ExternalIdentity(
        issuer,
        str(claims["sub"]),
        email if isinstance(email, str) and is_confirmed else "",
        name if isinstance(name, str) else "",
    )
