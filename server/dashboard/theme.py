"""Light or dark: as the system says, unless a person chooses."""

from collections.abc import Mapping

from starlette.responses import Response

THEME_COOKIE = "theme"
THEMES = {"": "Same as the system", "light": "Light", "dark": "Dark"}
COOKIE_SECONDS = 31_536_000


def theme_of(cookies: Mapping[str, str]) -> str:
    """Return "light" or "dark", or "" for the choice of the system."""
    theme = cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def remember_theme(response: Response, theme: str, *, secure: bool) -> None:
    """Keep the choice in this browser. A script reads it on the pages before signing in."""
    if theme:
        response.set_cookie(THEME_COOKIE, theme, COOKIE_SECONDS, secure=secure, samesite="lax")
    else:
        response.delete_cookie(THEME_COOKIE)
