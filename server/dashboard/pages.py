"""One page address: who visits, the frame around every page, and a form shown again with the reason it was refused."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from server import csp
from server.dashboard.fields import with_field_label
from server.dashboard.layout import ProjectAccess, frame_of, last_project, project_access
from server.dashboard.rendering import DONE, render
from server.domain.people import users
from server.errors import Invalid, NotFound, RateLimited, ServiceError, TooLarge, Unauthenticated
from server.request_credentials import credential_of
from server.runtime import Call, State
from server.statuses import status_of
from server.wire import NUL_IN_FORM, is_unstorable

FORM_BYTES = 1_000_000
HOME = "/dashboard"
SETUP = "/setup"
LAST_PROJECT = "project"
"""A cookie: where one was last."""

YEAR = 31_536_000


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A signed-in person's request; `problem` and `form` are set when a page is shown again after a refusal."""

    request: Request[State]
    call: Call
    form: FormData = field(default_factory=FormData)
    problem: ServiceError | None = None

    def path(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value

    @property
    def project_path(self) -> str:
        return f"{HOME}/projects/{self.path('project_id')}"

    async def place(self, project_id: str) -> ProjectAccess:
        """Raises NotFound."""
        return project_access(await self.call.read(frame_of), project_id)

    def text(self, name: str) -> str:
        """A field of the form as typed, with line ends as they are stored; empty when it is missing."""
        value = self.form.get(name, "")
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def require_typed(self, name: str) -> None:
        """What cannot be undone asks for the thing's name. Raises Invalid."""
        if self.text("confirm").strip() != name:
            raise Invalid("Nothing was deleted: type the name exactly as it is shown to confirm.")

    def refused(self, problem: ServiceError) -> "PageRequest":
        """The same visit, to be told why."""
        return replace(self, problem=problem)

    async def page(self, template: str, project_id: str | None = None, **shown: object) -> Response:
        """A page within its frame, at a project: the last one where the page is about none. Raises NotFound."""
        frame = await self.call.read(frame_of)
        here = (
            last_project(frame, self.request.cookies.get(LAST_PROJECT))
            if project_id is None
            else project_access(frame, project_id)
        )
        context = {
            "frame": frame,
            "here": here,
            "path": self.request.url.path,
            "problem": with_field_label(self.problem) if self.problem else None,
            "done": DONE.get(self.request.query_params.get("done", "")),
            "typed": self.text,
            "settings": self.call.runtime.settings,
        }
        html = await self.call.runtime.in_thread(render, template, context | shown)
        response = HTMLResponse(html, status_of(self.problem) if self.problem else 200, _headers(self.problem))
        if project_id not in (None, self.request.cookies.get(LAST_PROJECT)):
            secure = self.call.runtime.settings.is_https
            response.set_cookie(LAST_PROJECT, project_id, YEAR, path=HOME, secure=secure, httponly=True, samesite="lax")
        return response


Handler = Callable[[PageRequest], Awaitable[Response]]


def go(path: str, done: str | None = None) -> Response:
    """See what came of it: 303, with a sentence from a fixed table."""
    return RedirectResponse(f"{path}?{urlencode({'done': done})}" if done else path, 303)


class Page:
    """GET shows; POST does one thing and leads on, or is refused: then `show` is shown with the reason and its status.

    An address that only does is no page: who opens it is led to the dashboard.
    """

    def __init__(
        self, show: Handler, post: Handler | None = None, *, only_posts: bool = False, limit: int = FORM_BYTES
    ) -> None:
        self.show, self.post, self.only_posts, self.limit = show, post, only_posts, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[State] = Request(scope, _limited(receive, self.limit), send)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request[State]) -> Response:
        if request.method not in ("GET", "HEAD") and (request.method != "POST" or self.post is None):
            raise HTTPException(405, headers={"Allow": "GET, HEAD" + (", POST" if self.post else "")})
        try:
            visit = await page_request_of(request)
        except Unauthenticated:
            return await to_sign_in(request)
        except ServiceError as error:
            return await refusal(request, error)
        try:
            if is_unstorable(dict(request.query_params)):
                raise Invalid("The address holds a NUL character.")
            if request.method == "POST":
                return await self._post(visit)
            return go(HOME) if self.only_posts else await self.show(visit)
        except ServiceError as error:
            return await refusal(request, error, visit)

    async def _post(self, visit: PageRequest) -> Response:
        assert self.post is not None  # noqa: S101 - looked at before
        try:
            _require_small(visit.request, self.limit)
            async with visit.request.form(max_files=1, max_fields=300) as form:
                if is_unstorable([value for _, value in form.multi_items()]):
                    raise Invalid(NUL_IN_FORM)
                visit = replace(visit, form=form)
                return await self.post(visit)
        except (NotFound, Unauthenticated):
            raise
        except ServiceError as error:
            return await self.show(visit.refused(error))


async def page_request_of(request: Request[State]) -> PageRequest:
    """Raises Unauthenticated (an API key or token is not a person), Forbidden for another site's form."""
    runtime = request.state["runtime"]
    principal = await runtime.authenticate(credential_of(request, runtime.settings))
    if not principal.is_session:
        raise Unauthenticated(presented=True)
    return PageRequest(request, Call(runtime, principal))


async def to_sign_in(request: Request[State]) -> Response:
    """And back to the page; a form that was posted is not sent again by itself. Who is the first makes an account."""
    if not await request.state["runtime"].read(users.has_any):
        return RedirectResponse(SETUP, 303)
    path = request.url.path if request.method != "POST" else HOME
    query = f"?{request.url.query}" if request.url.query and request.method != "POST" else ""
    return RedirectResponse("/sign-in?" + urlencode({"next": path + query}), 303)


async def refusal(request: Request[State], error: ServiceError, visit: PageRequest | None = None) -> Response:
    """A page that says why, the same for what is unseen and what never was."""
    if isinstance(error, Unauthenticated):
        return await to_sign_in(request)
    if visit is not None:
        return await visit.refused(error).page("problem.html", status=status_of(error))
    context = {"problem": error.detail, "status": status_of(error), "frame": None, "here": None, "done": None}
    html = await request.state["runtime"].in_thread(render, "problem.html", context)
    return HTMLResponse(html, status_of(error), _headers(error))


def _headers(problem: ServiceError | None) -> dict[str, str]:
    headers = {"Content-Security-Policy": csp.DASHBOARD}
    return headers | {"Retry-After": str(problem.retry_after)} if isinstance(problem, RateLimited) else headers


def _require_small(request: Request[State], limit: int) -> None:
    """Refuse what announces too much before any of it is read. Raises TooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit)


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"That is larger than {limit // 1_000_000} MB.")


def _limited(receive: Receive, limit: int) -> Receive:
    """The body, up to `limit` bytes. Raises TooLarge."""
    count = 0

    async def receiving() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > limit:
            raise too_large(limit)
        return message

    return receiving
