"""Makes the names of clients safe to show, because clients choose them."""

from server.domain.names import shown_on_one_line
from server.models import ClientKind, OAuthClient
from server.text import characters

SHOWN_LENGTH = 60
OWN_NAME = "selfmemory"
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("iіӏıɩιІʟᏞꓡ1|!", "l"),
        **dict.fromkeys("оοօᴏꓳ0", "o"),
        **dict.fromkeys("еєεҽᴇᎬꓰ3", "e"),
        **dict.fromkeys("ѕꜱᏚꓢ5$", "s"),
        **dict.fromkeys("уγүʏᎽꓬ", "y"),
        **dict.fromkeys("мᴍᎷꓟ", "m"),
        **dict.fromkeys("гʀᏒꓣ", "r"),
        **dict.fromkeys("ƒғꓝ", "f"),
    }
)
"""Letters and digits, as `casefold` leaves them, that look like a letter of `OWN_NAME`."""

_QUOTES = str.maketrans(dict.fromkeys('"“”„‟«»', "'"))


def shown_name(client: OAuthClient) -> str:
    """Return the client's name for people, as `cleaned_name` does."""
    return cleaned_name(client.name, client.kind)


def cleaned_name(name: str, kind: str) -> str:
    """Return the name of a client of this kind for people: one short line that stays within its quotation marks.

    Removes control, direction and invisible characters. Removes or replaces this server's name and what looks like it,
    unless the operator chose the name.
    """
    text = shown_on_one_line(name).translate(_QUOTES)
    if kind != ClientKind.CONFIGURED:
        text = without_our_name_in_brackets(text)
        if looks_like_ours(text):
            return "An application whose name imitates this server"
    if len(text) > SHOWN_LENGTH:
        return text[: SHOWN_LENGTH - 1] + "…"
    return text or "An application without a name"


def without_our_name_in_brackets(name: str) -> str:
    """Remove brackets at the end that hold our name. Claude Code registers as `Claude Code (selfmemory)`, with the name
    that its user gave this server, and `connect` proposes that one.
    """
    outside, _, inside = name.rpartition("(")
    return outside.rstrip() if inside.endswith(")") and looks_like_ours(inside) else name


def looks_like_ours(name: str) -> bool:
    """Return whether people could read our name in `name`, even in lookalike letters or with characters in between."""
    folded = characters.normalize("NFKD", name).casefold().translate(_LOOKALIKES)
    letters = "".join(c for c in folded if c.isalpha())
    return OWN_NAME in letters or OWN_NAME in letters.replace("rn", "m")
