"""Light or dark: follows the system, unless a person chooses."""

from collections.abc import Mapping

from starlette.responses import Response

THEME_COOKIE = "theme"
THEMES = {"": "Same as the system", "light": "Light", "dark": "Dark"}
COOKIE_SECONDS = 31_536_000


def theme_of(cookies: Mapping[str, str]) -> str:
    """Return "light" or "dark", or "" to follow the system."""
    theme = cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def remember_theme(response: Response, theme: str, *, secure: bool) -> None:
    """Keep the choice in this browser. On the pages before sign-in, a script reads it."""
    if theme:
        response.set_cookie(THEME_COOKIE, theme, COOKIE_SECONDS, secure=secure, samesite="lax")
    else:
        response.delete_cookie(THEME_COOKIE)
