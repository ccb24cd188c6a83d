"""Saved views of the list: a search, filters and an order under a name. The address has the query."""

from starlette.responses import Response

from server.dashboard.fields import parse_fields
from server.dashboard.pages import PageRequest, redirect
from server.dashboard.views.list_query import ListQuery
from server.domain.memory.pages import saved_views
from server.errors import Invalid


async def save(request: PageRequest) -> Response:
    """Save the view in the address. Raises Invalid for the plain list."""
    query = parse_fields(ListQuery, dict(request.http.query_params))
    if query.is_plain:
        raise Invalid("Search or choose a filter first: the whole list needs no saved view.")
    view = await request.call.run(saved_views.save, request.project_id, request.text("name"), query.query())
    return redirect(f"{request.project_path}/memories{view.query}", "view-saved")


async def rename(request: PageRequest) -> Response:
    view_id, name = request.path_param("view_id"), request.text("name")
    view = await request.call.run(saved_views.rename, request.project_id, view_id, name)
    return redirect(f"{request.project_path}/memories{view.query}", "view-renamed")


async def delete(request: PageRequest) -> Response:
    """Delete the view, and keep showing the same list."""
    view = await request.call.run(saved_views.delete, request.project_id, request.path_param("view_id"))
    return redirect(f"{request.project_path}/memories{view.query}", "view-deleted")
