"""`check-connection`: sends PUBLIC_URL the requests that an assistant sends, and says what a proxy gets wrong."""

import functools
import json
import ssl
from argparse import Namespace

import httpx

from oauth.routes import ROUTES
from server.commands.checks import Check, CheckFailed, explain, require_server_behind, run_checks
from server.commands.output import print_message
from server.network.urls import is_loopback, is_private
from server.settings import Settings
from server.web.statuses import METADATA_PATH

SECONDS = 10
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PAGE = "https://inspector.example"
"""The origin of some page: pages of any origin may read the documents."""

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""Most checks use this User-Agent, because a proxy may block programs."""

NEEDED_HEADERS = ("authorization", "content-type", "mcp-protocol-version")
PROGRAMS = {
    "Claude": "Claude-User",
    "Claude Code": "claude-code/2.1.0 (cli)",
    "ChatGPT": "openai-mcp/1.0.0",
    "ChatGPT browsing": "Mozilla/5.0 (compatible; ChatGPT-User/1.0; +https://openai.com/bot)",
    "Cursor": "Cursor/1.7.0",
    "Gemini": "Google-Gemini-CLI/1.0",
    "VS Code": "node",
    "Python": "python-httpx/0.28.1",
    "Python aiohttp": "Python/3.12 aiohttp/3.12.0",
    "Go": "Go-http-client/2.0",
    "Java": "Java-http-client/21",
    "curl": "curl/8.5.0",
}
"""The User-Agent that each program, or its language's HTTP client, sends."""

STATUS_ADVICE = {
    421: "the proxy changes the Host header: let it pass the Host on, or add the new name to SELFMEMORY_ALLOWED_HOSTS",
    401: "the proxy asks for a sign-in of its own: let it pass this path without one",
    403: "the proxy blocks it: allow this path in its bot protection, firewall or access rules",
    404: "the proxy does not pass this path on: let it pass all paths, with and without a trailing slash",
    405: "the proxy does not allow this method: let it pass GET, POST and OPTIONS on",
    429: "too many requests: try again in a minute",
    503: "the proxy blocks it, or the server is not running: allow this path in the proxy's bot protection",
}


def check_connection(settings: Settings, _args: Namespace) -> int:
    """Print one line per check. Return 1 if an assistant would fail."""
    checks: dict[str, Check] = {"address": _address}
    if not _is_reachable(settings):
        code = run_checks(checks, settings)
        print_message("The other checks were not made, because no request reaches the server.")
        return code
    checks |= {document: functools.partial(_document, document) for document in documents()}
    checks |= {path: functools.partial(_challenge, path) for path in ("/mcp", "/mcp/")}
    checks |= {"Authorization": _authorization, "CORS": _cors, "/oauth/token": _token}
    checks |= {f"as {program}": functools.partial(_as_program, agent) for program, agent in PROGRAMS.items()}
    return run_checks(checks, settings)


def _is_reachable(settings: Settings) -> bool:
    try:
        require_server_behind(settings.public_url, _ask(settings, "GET", "/health/live"))
    except CheckFailed:
        return False
    return True


def documents() -> list[str]:
    """Return the path of every discovery document of the server."""
    return [route.path for route in ROUTES if "/.well-known/" in route.path]


def _address(settings: Settings) -> str:
    answer = _ask(settings, "GET", "/health/live")
    require_server_behind(settings.public_url, answer)
    if answer.status_code != 200 or "X-Request-ID" not in answer.headers:
        raise CheckFailed(f"something else answers at {settings.public_url}: {_problem(answer)}")
    if is_loopback(settings.public_url) or is_private(settings.public_url):
        return f"{settings.public_url} answers; Claude and ChatGPT on the web would need a public https address"
    return f"{settings.public_url} answers, with a valid certificate"


def _document(path: str, settings: Settings) -> str:
    answer = _ask(settings, "GET", path, Origin=PAGE)
    if answer.status_code != 200:
        raise CheckFailed(_problem(answer))
    try:
        document = answer.json()
    except json.JSONDecodeError:
        raise CheckFailed("the answer is a web page, not the document: let the proxy pass /.well-known on") from None
    expected = {"resource": settings.resource} if "resource" in path else {"issuer": settings.public_url}
    if not isinstance(document, dict) or not expected.items() <= document.items():
        raise CheckFailed(f"the document is another server's: let the proxy pass {path} on to this server")
    _require_readable(answer, "*")
    return "is served, and pages may read it"


def _challenge(path: str, settings: Settings) -> str:
    answer = _ask(settings, "POST", path)
    metadata = settings.public_url + METADATA_PATH
    if answer.status_code != 401 or answer.headers.get("WWW-Authenticate", "").partition(" ")[0] != "Bearer":
        raise CheckFailed(_problem(answer))
    if metadata not in answer.headers["WWW-Authenticate"]:
        raise CheckFailed(
            f"the challenge does not name {metadata}: another server answers, or this one has a different PUBLIC_URL"
        )
    return "asks for a credential, and says where to get one"


def _authorization(settings: Settings) -> str:
    answer = _ask(settings, "POST", "/mcp", Authorization="Bearer sk_im_none")
    if "invalid_token" not in answer.headers.get("WWW-Authenticate", ""):
        raise CheckFailed("the header does not arrive: let the proxy pass Authorization on")
    return "arrives"


def _cors(settings: Settings) -> str:
    public_url = settings.public_url
    preflight_headers = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": ", ".join(NEEDED_HEADERS),
    }
    preflight = _ask(settings, "OPTIONS", "/mcp", Origin=public_url, **preflight_headers)
    if not preflight.is_success:
        raise CheckFailed(f"the preflight fails: {_problem(preflight)}")
    _require_readable(preflight, public_url)
    allowed = {name.strip().lower() for name in preflight.headers.get("Access-Control-Allow-Headers", "").split(",")}
    if not allowed.issuperset(NEEDED_HEADERS):
        raise CheckFailed("the proxy answers preflights itself: let it pass OPTIONS on to this server")
    answer = _ask(settings, "POST", "/mcp", Origin=public_url)
    _require_readable(answer, public_url)
    if "www-authenticate" not in answer.headers.get("Access-Control-Expose-Headers", "").lower():
        raise CheckFailed(
            "the proxy removes Access-Control-Expose-Headers: let it pass the answer's headers on unchanged"
        )
    return "pages of the server's own origin may call /mcp"


def _token(settings: Settings) -> str:
    answer = _ask(settings, "POST", "/oauth/token", content="", media="application/x-www-form-urlencoded")
    if '"error"' not in answer.text:
        raise CheckFailed(_problem(answer))
    return "answers"


def _as_program(agent: str, settings: Settings) -> str:
    for method, path, sign in (("POST", "/mcp", METADATA_PATH), ("GET", METADATA_PATH, settings.resource)):
        answer = _ask(settings, method, path, User_Agent=agent)
        if sign not in answer.headers.get("WWW-Authenticate", answer.text):
            raise CheckFailed(f"the User-Agent {agent!r} is blocked at {path}: {_problem(answer)}")
    return "is let through"


def _require_readable(answer: httpx.Response, origin: str) -> None:
    """Raises CheckFailed unless exactly one header lets pages of the origin read the answer."""
    allowed = answer.headers.get_list("Access-Control-Allow-Origin")
    if len(allowed) > 1:
        raise CheckFailed("the proxy adds a second Access-Control-Allow-Origin: let it add no CORS headers")
    if allowed != [origin]:
        raise CheckFailed("the proxy changes Access-Control-Allow-Origin: let it pass the CORS headers on unchanged")


def _problem(answer: httpx.Response) -> str:
    """Return the problem with an answer, and what to do."""
    if answer.is_redirect:
        return f"redirects to {answer.headers.get('Location')}, which clients do not follow: let the proxy pass it on"
    if answer.is_success:
        return "something else answers: let the proxy pass this path on to this server"
    status = answer.status_code
    if status == 401 and "detail" in answer.text:
        return "the proxy changes the server's challenge: let it pass WWW-Authenticate on unchanged"
    return f"HTTP {status}: {STATUS_ADVICE.get(status, 'check the log of the proxy')}"


def _ask(
    settings: Settings,
    method: str,
    path: str,
    *,
    content: str | None = None,
    media: str = "application/json",
    **headers: str,
) -> httpx.Response:
    """Send a request as a client would, without following redirects. Raises CheckFailed if there is no answer."""
    all_headers = {"User-Agent": BROWSER} | {name.replace("_", "-"): value for name, value in headers.items()}
    if method == "POST":
        all_headers["Content-Type"] = media
        content = json.dumps(PING) if content is None else content
    try:
        return httpx.request(
            method,
            settings.public_url + path,
            content=content,
            headers=all_headers,
            timeout=SECONDS,
            verify=_certificates(),
        )
    except httpx.TimeoutException:
        raise CheckFailed(f"no answer within {SECONDS} seconds: is the proxy running, and is its port open?") from None
    except httpx.HTTPError as error:
        explain(settings, error)
        raise CheckFailed(
            f"does not answer ({type(error).__name__}): does the name point here, is the port open, is the server "
            "running?"
        ) from None


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that clients trust. Loading them takes longer than a request."""
    return httpx.create_ssl_context()
