"""Memories that say nearly the same thing, to be merged."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.responses import Response

from server.dashboard.pages import PageRequest, redirect
from server.dashboard.pagination import back_to
from server.dashboard.views.memory_rows import Row
from server.domain.memory import selection, trash
from server.domain.memory.pages import similar
from server.errors import Invalid
from server.models.base import is_id

ROUNDING = 1e-5
"""The cosine of two equal vectors may be less than 1 by less than this."""


class RowGroup(NamedTuple):
    """Rows that say nearly the same thing. `keep` is the longest one, preselected as the one to keep."""

    rows: Sequence[Row]
    keep: str
    percent: int


async def show(request: PageRequest) -> Response:
    before = request.http.query_params.get("before")
    if before is not None and not is_id("mem_", before):
        before = None
    comparison = await request.call.read(similar.near_duplicates, request.project_id, before)
    groups = [
        RowGroup(
            [Row(memory) for memory in group.memories],
            max(group.memories, key=lambda memory: len(memory.content)).id,
            int((group.closeness + ROUNDING) * 100),
        )
        for group in comparison.groups
    ]
    return await request.render(
        "duplicates.html",
        request.project_id,
        groups=groups,
        compared=comparison.compared,
        older=comparison.oldest,
        is_newest=before is None,
        trash_days=await request.call.read(trash.days, request.project_id),
    )


async def merge(request: PageRequest) -> Response:
    """Merge the selected memories into the one to keep. Raises Invalid."""
    ids, keep = request.texts("ids"), request.text("keep")
    if not keep or not set(ids) - {keep}:
        raise Invalid("Select the memories to merge, and the one to keep.")
    merged = await request.call.run(selection.merge, request.project_id, ids, keep, request.call.index)
    return redirect(back_to(request, f"{request.project_path}/similar"), "merged", count=merged)
