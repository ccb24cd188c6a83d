"""The pages for signed-in people: reads the request, renders the page, and shows a refused form with the reason."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlencode, urlunsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Message

from server.dashboard.cookies import SealedValues, set_private_cookie
from server.dashboard.done import done_message, position
from server.dashboard.fields import with_field_label
from server.dashboard.layout import Frame, ProjectEntry, find_project, frame_of, last_project
from server.dashboard.preferences import COOKIE_SECONDS, THEME, chosen_value
from server.dashboard.rendering import problem_page, render, signed_out_page
from server.dashboard.shown_once import forget_values, kept_values
from server.domain import names
from server.domain.people import users
from server.errors import Invalid, NotFound, ServiceError, TooLarge, Unauthenticated
from server.shell.runtime import Call, State
from server.web import csp
from server.web.dispatch import Methods
from server.web.request_credentials import credential_of, require_same_origin
from server.web.statuses import answered
from server.web.wire import FORM, NUL_IN_FORM, is_unstorable, media_types, read_body

FORM_BYTES = 1_000_000
MAX_FIELDS = 1_000
HOME = "/dashboard"
SETUP = "/setup"
TEXT = "text"
"""The field of the text of a memory, which is never lost: it may have taken an hour to write."""

LAST_PROJECT_COOKIE = "project"
"""Remembers the project last opened in this browser."""


@dataclass(slots=True)
class PageRequest:
    """A signed-in person's request. `problem` and `form` are set when a page is shown again after a refusal."""

    http: Request[State]
    call: Call
    form: FormData = field(default_factory=FormData)
    problem: ServiceError | None = None
    _frame: Frame | None = None

    def path_param(self, name: str) -> str:
        return str(self.http.path_params[name])

    @property
    def project_id(self) -> str:
        return self.path_param("project_id")

    @property
    def project_path(self) -> str:
        return f"{HOME}/projects/{self.project_id}"

    async def frame(self) -> Frame:
        """Return the navigation. It is read only once per request."""
        if self._frame is None:
            self._frame = await self.call.read(frame_of)
        return self._frame

    async def project(self) -> ProjectEntry:
        """Return the project in the path. Raises NotFound."""
        return find_project(await self.frame(), self.project_id)

    @property
    def once(self) -> SealedValues:
        """The new secret to show, which is then forgotten. A page with a problem may not show it, so it stays."""
        return {} if self.problem else kept_values(self.http, self.call)

    def text(self, name: str) -> str:
        """Return a form field with line breaks as we store them, or "" if it is missing."""
        return next(reversed(self.texts(name)), "")

    def typed(self, action: str, name: str, stored: str = "") -> str:
        """Return a field of the form that was sent to `action`, or `stored` if no form or another one was sent."""
        return self.text(name) if self.form and self.http.url.path == action else stored

    def texts(self, name: str) -> list[str]:
        return [value.replace("\r\n", "\n") for value in self.form.getlist(name) if isinstance(value, str)]

    def fields_except(self, prefix: str) -> list[tuple[str, str]]:
        """Return the fields to send again, without those whose name begins with `prefix`."""
        fields = self.form.multi_items()
        return [(name, value) for name, value in fields if isinstance(value, str) and not name.startswith(prefix)]

    def chosen(self, name: str, what: str) -> str:
        """Return the chosen value of the field. Raises Invalid if there is none; the sentence asks for `what`."""
        value = self.text(name)
        if not value:
            raise Invalid(f"Choose {what}.")
        return value

    def require_confirmation(self, name: str) -> None:
        """Raises Invalid unless the field `confirm` holds `name`. For deletions that cannot be undone."""
        if names.as_stored(self.text("confirm")) != names.as_stored(name):
            raise Invalid("Nothing was deleted. To confirm, type the name exactly as shown.")

    def with_problem(self, problem: ServiceError) -> "PageRequest":
        return replace(self, problem=problem)

    async def render(self, template: str, project_id: str | None = None, **values: object) -> Response:
        """Render the template with the navigation open at `project_id`, or at the last project. Raises NotFound."""
        frame = await self.frame()
        last_project_id, once = self.http.cookies.get(LAST_PROJECT_COOKIE), self.once
        current = last_project(frame, last_project_id) if project_id is None else find_project(frame, project_id)
        context = {
            "frame": frame,
            "current": current,
            "path": self.http.url.path,
            "problem": with_field_label(self.problem) if self.problem else None,
            "done": done_message(self.http.query_params),
            "position": position(self.http.query_params),
            "once": once,
            "typed": self.typed,
            "settings": self.call.runtime.settings,
            "theme": chosen_value(THEME, self.http.cookies),
        }
        html = await self.call.runtime.in_thread(render, template, context | values)
        status, headers = answered(self.problem)
        headers |= {"Content-Security-Policy": csp.DASHBOARD, "Cross-Origin-Opener-Policy": "same-origin"}
        response = HTMLResponse(html, status, headers)
        if once:
            forget_values(response, self.http, self.call)
        if project_id is not None and project_id != last_project_id:
            settings = self.call.runtime.settings
            set_private_cookie(response, settings, LAST_PROJECT_COOKIE, project_id, COOKIE_SECONDS, HOME)
        return response


View = Callable[[PageRequest], Awaitable[Response]]
FormReader = Callable[[PageRequest], AbstractAsyncContextManager[FormData]]
Guard = Callable[[PageRequest], Awaitable[Response | None]]
"""Returns None to let a form pass, or a page to show instead."""


def redirect(path: str, done: str | None = None, *, count: int | None = None, invitations: int = 0) -> Response:
    """Redirect after a form. `path` may have a query.

    `done` is the key of the message that the next page shows, `count` the number of memories in it, and `invitations`
    the number of canceled invitations in it.
    """
    query = {"done": done, "count": count, "invitations": invitations or None}
    given = {name: value for name, value in query.items() if value is not None}
    separator = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{separator}{urlencode(given)}" if given else path, 303)


class Page(Methods):
    """GET renders `show`. POST runs `post`, which redirects; on a ServiceError it renders `show` with the message.

    `read` reads the form. `guard` runs first.
    """

    def __init__(
        self, show: View, post: View | None = None, *, read: FormReader | None = None, guard: Guard | None = None
    ) -> None:
        self.show = show
        self.post = post
        self.read = read or read_form
        self.guard = guard
        handlers = {"GET": partial(self._answer, self._open)}
        if post is not None:
            handlers["POST"] = partial(self._answer, partial(self._submit, post))
        super().__init__(handlers)

    async def _answer(self, view: View, http: Request[State]) -> Response:
        """Run the view for the signed-in person. A failure becomes a page."""
        request = None
        try:
            request = await page_request_of(http)
            if is_unstorable(dict(http.query_params)):
                raise Invalid("The address contains a NUL character.")
            return await view(request)
        except ServiceError as error:
            has_ended = isinstance(error, Unauthenticated) and http.method == "POST"
            kept = await _kept_text(http, request) if has_ended else None
            return kept or await refusal(http, error, request)

    async def _open(self, request: PageRequest) -> Response:
        return await self.show(request)

    async def _submit(self, post: View, request: PageRequest) -> Response:
        try:
            async with self.read(request) as form:
                if is_unstorable([value for _, value in form.multi_items()]):
                    raise Invalid(NUL_IN_FORM)
                request.form = form
                blocked = await self.guard(request) if self.guard else None
                return blocked or await post(replace(request, _frame=None))  # the form may change the navigation
        except Unauthenticated:
            raise
        except NotFound as error:
            return await refusal(request.http, error, request)
        except ServiceError as error:
            return await self.show(request.with_problem(error))


class Form(Page):
    """A form of another page, at an address of its own: GET redirects to the dashboard."""

    async def _open(self, _request: PageRequest) -> Response:
        return redirect(HOME)


@asynccontextmanager
async def read_form(request: PageRequest, most_fields: int = MAX_FIELDS) -> AsyncIterator[FormData]:
    """Read the whole form before checking anything in it. Raises TooLarge, Invalid."""
    form = await parse_form(await _buffered(request.http, FORM_BYTES), most_fields)
    try:
        yield form
    finally:
        await form.close()


async def parse_form(http: Request[State], most_fields: int) -> FormData:
    """Return the form, which the caller closes. Raises Invalid."""
    try:
        if FORM in media_types(http) and (await http.body()).count(b"&") >= most_fields:
            raise HTTPException(400)  # Starlette does not count empty fields, which take as long to read
        return await http.form(max_files=1, max_fields=most_fields)
    except HTTPException:
        raise Invalid(f"This form cannot be read. It may have at most {most_fields:,} fields and one file.") from None


async def page_request_of(http: Request[State]) -> PageRequest:
    """Raises Unauthenticated, also for an API key or token, and Forbidden for a form from another site."""
    runtime = http.state["runtime"]
    principal = await runtime.authenticate(credential_of(http, runtime.settings))
    if not principal.is_session:
        raise Unauthenticated(reason="no_session")
    return PageRequest(http, Call(runtime, principal))


async def to_sign_in(http: Request[State]) -> Response:
    """Redirect to the sign-in page, which then redirects back here. A new server redirects to the setup page.

    A form is not sent again after sign-in, so a POST ends on the dashboard.
    """
    if not await http.state["runtime"].read(users.has_any):
        return RedirectResponse(SETUP, 303)
    address = HOME if http.method == "POST" else _address_of(http)
    return RedirectResponse("/sign-in?" + urlencode({"next": address}), 303)


async def _kept_text(http: Request[State], request: PageRequest | None) -> Response | None:
    """Return a page that keeps what was typed into a form while the session ended, and can send it again. Return None
    for a form without a text. `request` has the form if the session ended after that was read.
    """
    runtime = http.state["runtime"]
    if FORM not in media_types(http):
        return None
    if request is None:
        request = PageRequest(http, Call(runtime, None))
        try:
            require_same_origin(http, runtime.settings)
            async with read_form(request) as request.form:
                pass
        except ServiceError:
            return None
    fields = [(name, value) for name, value in request.form.multi_items() if isinstance(value, str)]
    text = request.text(TEXT)
    return await runtime.in_thread(signed_out_page, text, fields, _address_of(http)) if text.strip() else None


def _address_of(http: Request[State]) -> str:
    """Return the path and the query."""
    return urlunsplit(("", "", http.url.path, http.url.query, ""))


async def refusal(http: Request[State], error: ServiceError, request: PageRequest | None = None) -> Response:
    """Return a page with the reason, or redirect to the sign-in page. With `request` it has the navigation."""
    if isinstance(error, Unauthenticated):
        return await to_sign_in(http)
    if request is not None:
        return await request.with_problem(error).render("problem.html", error=error)
    status, headers = answered(error)
    return problem_page(status, error, headers)  # at once: there may be no thread for pages


async def _buffered(http: Request[State], limit: int) -> Request[State]:
    """Return the same request, with its body already read. Raises TooLarge."""
    try:
        body = await read_body(http, limit)
    except TooLarge:
        raise TooLarge(f"This is too large: send at most {limit // 1_000_000} MB.") from None

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(http.scope, receive)
