"""How this server sets the cookies that only it reads."""

from starlette.responses import Response

from server.settings import Settings


def set_private_cookie(
    response: Response, settings: Settings, name: str, value: str, seconds: int, path: str = "/"
) -> None:
    """Set a cookie that no script and no other site can use. If `seconds` is 0, the browser deletes it."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",  # type: ignore[arg-type]  # as RFC 6265bis spells it
    )
