"""What a person chooses for one browser: the theme and the time format. A cookie keeps each choice."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

COOKIE_SECONDS = 31_536_000


class Preference(NamedTuple):
    """The cookie and the form field are called `name`. `options` has a label for each value; "" is the default."""

    name: str
    title: str
    options: Mapping[str, str]
    needs_script: bool = False


THEME = Preference("theme", "Theme", {"": "Same as the system", "light": "Light", "dark": "Dark"})
TIME_FORMAT = Preference(
    "time-format", "Time format", {"": "Same as the browser", "h12": "12-hour", "h23": "24-hour"}, needs_script=True
)
"""The values are Unicode's hour cycles: the script that shows times passes the value to `Intl.DateTimeFormat`."""

PREFERENCES = (THEME, TIME_FORMAT)


def chosen_value(preference: Preference, cookies: Mapping[str, str]) -> str:
    """Return the value that this browser keeps, or "" for the default."""
    value = cookies.get(preference.name, "")
    return value if value in preference.options else ""


def remember(response: Response, preference: Preference, value: str, *, secure: bool) -> None:
    """Keep the choice in a cookie of this browser. It is not HttpOnly, because a script reads it."""
    if value:
        response.set_cookie(preference.name, value, COOKIE_SECONDS, secure=secure, samesite="lax")
    else:
        response.delete_cookie(preference.name)
