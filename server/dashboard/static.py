"""The files that every page needs: style, script and icon. Browsers revalidate their copies with an ETag."""

import functools
import hashlib
from importlib.resources import files
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

STYLES = ("base", "navigation", "blocks", "memories", "forms", "phone", "print")
"""The parts of app.css in their order. The last two stay last: they adapt the others to narrow screens and to paper."""

PARTS = {"app.css": [f"css/{name}.css" for name in STYLES]}
"""Files that are combined from parts. Every other asset is a single file."""

MEDIA_TYPES = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "palette.js": "text/javascript",
    "passkeys.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


class Asset(NamedTuple):
    content: bytes
    tag: str


async def send(request: Request) -> Response:
    """Send a file. Raises HTTPException 404."""
    name = request.path_params["name"]
    if name not in MEDIA_TYPES:
        raise HTTPException(404)
    asset = _asset(name)
    headers = {"ETag": asset.tag, "Cache-Control": "public, no-cache"}
    if asset.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=MEDIA_TYPES[name], headers=headers)


async def send_to_icon(_request: Request) -> Response:
    """Redirect to the icon. Assistants and bookmarks look for it without reading a page."""
    return RedirectResponse("/static/icon.svg", 301)


@functools.cache
def _asset(name: str) -> Asset:
    folder = files("server.dashboard").joinpath("static")
    content = b"\n".join(folder.joinpath(part).read_bytes() for part in PARTS.get(name, [name]))
    return Asset(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
