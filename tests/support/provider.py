"""An OpenID provider that signs in the person whom a test names, and sends false claims on demand."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.settings import Settings
from server.storage.database import Database
from tests.support.passkeys import base64url
from tests.support.served import listening, served, url_of

CALLBACK = "/sign-in/provider/callback"
AWAY = "does not answer right now"
REFUSED = "did not sign you in"

CLIENT_ID = "selfmemory"
SECRET = "the client's secret"


ANY_HEADER = JWSRegistry({"must": HeaderParameter("Must", "str")}, algorithms=["RS256"], strict_check_header=False)


@dataclass
class Provider:
    """The provider's state. `claims` change the ID token (None removes one), `header` its header. `other_keys` are
    published before its key.
    """

    issuer: str
    person: dict[str, object]
    claims: dict[str, object] = field(default_factory=dict)
    header: dict[str, object] = field(default_factory=dict)
    other_keys: list[object] = field(default_factory=list)
    userinfo: dict[str, object] | None = None
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first", "alg": "RS256"}))
    signing_key: RSAKey | None = None
    unsigned: bool = False
    metadata: dict[str, object] = field(default_factory=dict)
    answer: Response | None = None
    keys_answer: Response | None = None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, url: str, **changes: str) -> str:
        """Return the query string with which the provider redirects the browser back."""
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        given = {"code": code, "state": asked["state"], "iss": self.issuer} | changes
        return urlencode({name: value for name, value in given.items() if value})

    async def discovery(self, _request: Request) -> Response:
        self.asked.append("discovery")
        known = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/me",
        }
        return self.answer or JSONResponse(known | self.metadata)

    async def keys(self, _request: Request) -> Response:
        self.asked.append("keys")
        return (
            self.answer
            or self.keys_answer
            or JSONResponse({"keys": [*self.other_keys, self.key.as_dict(private=False)]})
        )

    async def token(self, request: Request) -> Response:
        self.asked.append("token")
        if self.answer:
            return self.answer
        form = await request.form()
        asked = self.codes.pop(str(form["code"]), None)
        if asked is None or create_s256_code_challenge(str(form["code_verifier"])) != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        moment = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "exp": moment + 300, "iat": moment, "nonce": asked["nonce"],
        } | self.person | self.claims  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        key = self.signing_key or self.key
        signed = jwt.encode({"alg": "RS256", "kid": key.kid} | self.header, claims, key, registry=ANY_HEADER)
        if self.unsigned:
            header = base64url(b'{"alg": "none"}')
            signed = f"{header}.{signed.split('.')[1]}."
        return JSONResponse({"access_token": "access", "token_type": "Bearer", "id_token": signed, "expires_in": 60})

    async def me(self, _request: Request) -> Response:
        self.asked.append("me")
        return JSONResponse(self.userinfo or {"sub": self.person["sub"]})


@contextlib.asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    """Run the provider on loopback. It signs in Ann, whose address is confirmed."""
    with listening() as listener:
        person: dict[str, object] = {"sub": "1", "email": "ann@example.com", "email_verified": True, "name": "Ann"}
        provider = Provider(url_of(listener), person)
        app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", provider.discovery),
                Route("/keys", provider.keys),
                Route("/token", provider.token, methods=["POST"]),
                Route("/me", provider.me),
            ]
        )
        async with served(app, listener):
            yield provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with providing() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, provider: Provider, request: pytest.FixtureRequest) -> Settings:
    changed: dict[str, object] = {}
    for mark in request.node.iter_markers("settings"):
        changed = mark.kwargs | changed
    given = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": SecretStr(SECRET)}
    return settings.model_copy(update=given | {"oidc_name": "Acme"} | changed)


async def go(browser: httpx.AsyncClient, provider: Provider, path: str = "", **changes: str) -> httpx.Response:
    """Press the button, sign in at the provider, and come back."""
    there = await browser.post(f"/sign-in/provider{path}")
    assert there.status_code == 303, there.text
    return await browser.get(f"{CALLBACK}?{provider.authorize(there.headers['location'], **changes)}")


async def whoami(browser: httpx.AsyncClient) -> dict[str, object]:
    answer: dict[str, object] = (await browser.get("/api/users/me")).json()
    return answer


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        names = sa.inspect(session.connection()).get_table_names()
        return {name: session.execute(sa.text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}
