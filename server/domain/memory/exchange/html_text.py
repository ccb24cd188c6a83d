"""Reads the text of HTML, as other programs write it into their exports.

Python's parser reads on to the end of the text for each tag that does not end. A megabyte of them would take hours.
"""

import html
import re
from collections.abc import Iterator

_BLOCKS = frozenset({"p", "div", "br", "li", "ul", "ol", "tr", "table", "pre", "blockquote", "hr"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_INVISIBLE_ENDS = {
    "!--": re.compile("-->"),
    **{name: re.compile(f"</{name}\\b[^<>]*+>?", re.IGNORECASE) for name in ("script", "style", "head")},
}
_TAG = re.compile(
    r"<(?P<comment>!--)|<(?P<closing>/?)(?P<name>[A-Za-z][^\s/<>]*+)"
    r"(?:[^<>\"']|\"[^\"<]*+\"?|'[^'<]*+'?)*+>|<[!?][^<>]*+>"
)
"""A tag, the beginning of a comment, or a declaration. It ends before the next `<`, so a text is read once.

A quotation without an end goes on to that `<`, so it belongs to no tag. The mark that ends a quotation is optional
here. Otherwise the possessive group could fail in the middle, and up to Python 3.11.4 it then matches what it has read.
"""

_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n(?: ?\n)+ ?")


def text_of_html(source: str) -> str:
    """Return the visible text. Blocks begin a new line, and items of lists begin with a dash."""
    return _LINES.sub("\n", _SPACES.sub(" ", "".join(_parts(source)))).strip()


def _parts(source: str) -> Iterator[str]:
    at = 0
    while tag := _TAG.search(source, at):
        yield _unescaped(source[at : tag.start()])
        at = tag.end()
        name = (tag["comment"] or tag["name"] or "").lower()
        if name in _INVISIBLE_ENDS and not tag["closing"]:
            end = _INVISIBLE_ENDS[name].search(source, at)
            at = end.end() if end else len(source)
        else:
            yield _break_at(name, is_closing=bool(tag["closing"]))
    yield _unescaped(source[at:])


def _break_at(name: str, *, is_closing: bool) -> str:
    if name in _BLOCKS or name in _HEADINGS:
        return "\n- " if name == "li" and not is_closing else "\n"
    return " " if name in ("td", "th") and not is_closing else ""


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a reference of thousands of digits
        return text
