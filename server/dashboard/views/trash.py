"""The trash of a project: deleted memories, to restore or to delete permanently."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from starlette.responses import Response

from server.dashboard.excerpts import Part, excerpt
from server.dashboard.pages import PageRequest, redirect
from server.dashboard.pagination import back_to
from server.domain.memory import deletions, trash
from server.domain.memory.expiry import parse_moment
from server.domain.memory.trash import TrashRequest
from server.domain.people import users
from server.models import Memory, TrashedMemory

PAGE_SIZE = 25


class TrashRow(NamedTuple):
    row: TrashedMemory
    memory: Memory
    deleted_by: str | None

    @property
    def excerpt(self) -> Sequence[Part]:
        """The beginning of the text. The thread that renders the page cuts it out."""
        return excerpt(self.memory)


async def show(request: PageRequest) -> Response:
    before = None
    with suppress(ValueError):
        before = parse_moment(request.http.query_params.get("before"))
    wanted = TrashRequest(request.project_id, limit=PAGE_SIZE + 1, before=before, spare=1)
    page = await request.call.read(trash.list_trash, wanted)
    visible = page.trashed[:PAGE_SIZE]
    if before and not visible:  # the last memory of this page has left the trash
        return redirect(f"{request.project_path}/trash")
    people = {one.row.deleted_by for one in visible if one.row.deleted_by}
    names = await request.call.read(users.names_of, people)
    rows = [TrashRow(one.row, one.memory, names.get(one.row.deleted_by or "")) for one in visible]
    has_more = len(page.trashed) > PAGE_SIZE or page.is_cut
    following = visible[-1].row.deleted_at.isoformat() if has_more else None
    days = await request.call.read(trash.days, request.project_id)
    return await request.render("trash.html", request.project_id, rows=rows, days=days, following=following)


async def restore(request: PageRequest) -> Response:
    await request.call.run(trash.restore, request.path_param("memory_id"))
    return redirect(back_to(request, f"{request.project_path}/trash"), "restored")


async def erase(request: PageRequest) -> Response:
    """Delete one memory in the trash permanently."""
    await request.call.run(deletions.delete, request.path_param("memory_id"), True)
    return redirect(back_to(request, f"{request.project_path}/trash"), "erased")
