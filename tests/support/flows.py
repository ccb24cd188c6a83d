"""The two sides of an OAuth flow: a person with a browser, and an application. Both use the public doors."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx

ORIGIN = "http://localhost:8081"
RESOURCE = f"{ORIGIN}/mcp"
CALLBACK = "http://127.0.0.1:7777/callback"
PASSWORD = "correct horse battery"
EVERYDAY = "memories:read memories:write"

Parameters = dict[str, str]


def new_verifier() -> str:
    return secrets.token_urlsafe(48)


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Form:
    """A form of a page: its action, its fields, and the options of each choice."""

    action: str = ""
    fields: Parameters = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "input" and given.get("type") == "hidden" and self.forms:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "input" and given.get("type") == "radio" and self.forms:
            self.forms[-1].options.setdefault(given["name"], []).append(given["value"])
            if "checked" in given:
                self.forms[-1].fields[given["name"]] = given["value"]
        elif tag == "select" and self.forms:
            self._select = given["name"]
        elif tag == "option" and self._select:
            form = self.forms[-1]
            form.options.setdefault(self._select, []).append(given.get("value", ""))
            if "selected" in given or self._select not in form.fields:
                form.fields[self._select] = given.get("value", "")
        elif tag == "button" and given.get("name") and self.forms:
            self.forms[-1].options.setdefault(given["name"], []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


def form_of(page: httpx.Response) -> Form:
    parser = _Forms()
    parser.feed(page.text)
    assert len(parser.forms) == 1, page.text
    return parser.forms[0]


def answer_of(response: httpx.Response) -> Parameters:
    """Return the parameters of a redirect to the client. Each must occur once."""
    assert response.status_code in (302, 303), (response.status_code, response.text)
    parts = urlsplit(response.headers["location"])
    assert parts.fragment == ""
    parameters = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values())
    return {name: values[0] for name, values in parameters.items()}


@dataclass
class Person:
    """A person with a browser, and an account with one project."""

    browser: httpx.AsyncClient
    email: str
    user_id: str
    organization_id: str
    project_id: str

    async def sign_in(self, page: str = "/sign-in") -> httpx.Response:
        """Fill in the sign-in form, unless already signed in."""
        shown = await self.browser.get(page)
        if shown.is_redirect:
            return shown
        form = form_of(shown)
        filled = form.fields | {"email": self.email, "password": PASSWORD}
        return await self.browser.post(urljoin(str(shown.url), form.action), data=filled)

    async def follow(self, response: httpx.Response) -> httpx.Response:
        """Follow redirects on this site, and sign in if asked. Stop at a redirect to the client."""
        while response.is_redirect:
            target = urljoin(str(response.url), response.headers["location"])
            if not target.startswith(str(self.browser.base_url)):
                return response
            response = await (self.sign_in(target) if urlsplit(target).path == "/sign-in" else self.browser.get(target))
        return response

    async def open(self, parameters: Mapping[str, str] | list[tuple[str, str]]) -> httpx.Response:
        """Open an authorization URL. Return the consent page, a problem page, or the redirect to the client."""
        return await self.follow(await self.browser.get("/oauth/authorize?" + urlencode(parameters)))

    async def decide(
        self, page: httpx.Response, decision: str = "allow", project_id: str | None = None, **changed: str
    ) -> httpx.Response:
        form = form_of(page)
        filled = form.fields | {"decision": decision} | changed
        if project_id is not None:
            filled["project_id"] = project_id
        return await self.browser.post(urljoin(str(page.url), form.action), data=filled)

    async def allow(self, parameters: Mapping[str, str] | list[tuple[str, str]], project_id: str | None = None) -> str:
        """Allow the request, and return the code that the client gets."""
        page = await self.open(parameters)
        assert page.status_code == 200, page.text
        return answer_of(await self.decide(page, project_id=project_id))["code"]


@dataclass
class App:
    """An application: its registration, and its requests."""

    http: httpx.AsyncClient
    client_id: str
    secret: str | None = None
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=new_verifier)

    def request(self, **changed: str | None) -> Parameters:
        """Return the parameters of an authorization request. None leaves one out."""
        given: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": "a-state",
            "scope": EVERYDAY,
            "resource": RESOURCE,
        }
        return {name: value for name, value in (given | changed).items() if value is not None}

    async def post(self, path: str, data: Mapping[str, str | None]) -> httpx.Response:
        """Send a form as this client, with its secret in the header or only its id in the form."""
        headers = basic(self.client_id, self.secret) if self.secret else {}
        own: dict[str, str | None] = {} if self.secret else {"client_id": self.client_id}
        filled = {name: value for name, value in (own | dict(data)).items() if value is not None}
        return await self.http.post(path, data=filled, headers=headers)

    async def redeem(self, code: str, **changed: str | None) -> httpx.Response:
        given: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": self.verifier,
            "redirect_uri": self.redirect_uri,
        }
        return await self.post("/oauth/token", given | changed)

    async def refresh(self, refresh_token: str, **changed: str | None) -> httpx.Response:
        given: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self.post("/oauth/token", given | changed)

    async def connect(self, person: Person, project_id: str | None = None, **changed: str | None) -> "Tokens":
        """Run the whole flow."""
        code = await person.allow(self.request(**changed), project_id)
        return tokens_of(await self.redeem(code))

    async def works(self, access_token: str) -> bool:
        """Return whether the resource accepts the token."""
        response = await self.http.get("/api/memories", headers=bearer(access_token))
        assert response.status_code in (200, 401), response.text
        return response.status_code == 200


@dataclass(frozen=True)
class Tokens:
    access: str
    refresh: str
    scope: str
    expires_in: int


def tokens_of(response: httpx.Response) -> Tokens:
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["token_type"].lower() == "bearer"
    return Tokens(body["access_token"], body["refresh_token"], body["scope"], body["expires_in"])


def error_of(response: httpx.Response, status: int = 400) -> str:
    """Return the error code of an answer for clients, and check its shape."""
    assert response.status_code == status, response.text
    assert set(response.json()) <= {"error", "error_description"}
    assert response.headers["cache-control"] == "no-store"
    return str(response.json()["error"])


def is_page(response: httpx.Response, status: int = 400) -> bool:
    """Return whether this is a page that redirects nowhere."""
    assert response.status_code == status, (response.status_code, response.text)
    return (
        "location" not in response.headers
        and response.headers["content-type"].startswith("text/html")
        and "http-equiv" not in response.text
    )


PLAIN: dict[str, object] = {
    "client_name": "Notes",
    "redirect_uris": [CALLBACK],
    "token_endpoint_auth_method": "none",
}
"""The metadata of a client's document."""


def app_at(client: httpx.AsyncClient, url: str, redirect_uri: str = CALLBACK) -> App:
    """Return the client that the document at this URL describes."""
    return App(client, url, redirect_uri=redirect_uri)
