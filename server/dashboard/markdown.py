"""Renders memories as Markdown, into safe HTML or plain lines. HTML in a text is shown as text. Links lead only to web
pages and mail addresses, and images become links, so that a page never loads anything that a memory names.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MOST_RENDERED = 12_000
"""The longest text to render. A longer one is shown as plain text."""

MOST_CELLS = 10_000
"""The most cells that a table could have. Missing ones are added to each row, so a short text can have 65,000."""

LINKS = ("https://", "http://", "mailto:")
TOP_HEADING = 3
"""The level of a text's top headings, because the page has headings of its own."""

LOWEST_HEADING = 6
_HAS_MARKS = re.compile(r"[#*_`~\[>&|\\]|^(-{3}|={3})", re.MULTILINE)
_LINES = {"inline", "fence", "code_block"}


def to_html(text: str) -> Markup:
    """Return the text as HTML. A text that would take too long to render keeps its whitespace and line breaks."""
    if len(text) > MOST_RENDERED or _possible_cells(text) > MOST_CELLS:
        return Markup('<div class="full">{}</div>').format(text)
    tokens = _parser().parse(text)
    for token in tokens:
        token.attrs.pop("style", None)  # drop the alignment of table cells, which our pages' policy forbids
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + TOP_HEADING - 1, LOWEST_HEADING)}"
    return Markup(_parser().renderer.render(tokens, _parser().options, {}))  # noqa: S704 - the renderer escapes


def _possible_cells(text: str) -> int:
    lines = text.split("\n")
    return len(lines) * max(line.count("|") for line in lines)


def to_text(text: str) -> str:
    """Return the lines of a text without Markdown marks. List items keep their numbers and dashes."""
    if not _HAS_MARKS.search(text):
        return text
    lines, marker = [], ""
    for token in _parser().parse(text):
        if token.type == "list_item_open":
            marker = f"{token.info}{token.markup} " if token.info else "- "
        elif token.type in _LINES:
            lines.append(marker + _text_of(token))
            marker = ""
    return "\n".join(lines)


def _text_of(token: Token) -> str:
    if token.children is None:
        return token.content.rstrip("\n")
    return "".join("\n" if child.type in ("softbreak", "hardbreak") else child.content for child in token.children)


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "breaks": True})
    parser.enable(["linkify", "table", "strikethrough"]).disable("image")
    parser.validateLink = _is_link  # type: ignore[method-assign,assignment]  # as its documentation says
    parser.add_render_rule("link_open", _open_link)
    return parser


def _is_link(address: str) -> bool:
    return address.lower().startswith(LINKS)


def _open_link(renderer: Any, tokens: list[Token], position: int, options: Any, env: Any) -> str:
    tokens[position].attrs |= {"rel": "noopener noreferrer nofollow", "target": "_blank"}
    render: Callable[..., str] = renderer.renderToken
    return render(tokens, position, options, env)
