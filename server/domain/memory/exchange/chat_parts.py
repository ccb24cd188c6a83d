"""Names the parts of chat messages other than text, so that an import can count them."""

import contextlib
import json
import mimetypes
from collections.abc import Iterator
from typing import Any, get_args

from server.domain.memory.exchange.entries import Foreign
from server.domain.memory.inputs import TextKind

FILES = "attached files"
TOOLS = "tool calls and their results"
THOUGHTS = "the assistant's thoughts"
OTHERS = "other parts"
_MEDIA = {"image": "images", "audio": "recordings", "video": "videos"}
_TEXTS = get_args(TextKind)
_WITHOUT_CONTENT = ("token_budget", "flag")


def left_out_of_chatgpt(message: Foreign) -> Iterator[str]:
    """Yield the kind of each non-text part, attachment or tool call in a visible message."""
    content = object_in(message.get("content"))
    kind = str(content.get("content_type"))
    parts = [part for part in objects_in(content.get("parts")) if not isinstance(part.get("text"), str)]
    media = [_media(str(part.get("content_type")), OTHERS) for part in parts]
    yield from media
    pointers = " ".join(str(part.get("asset_pointer")) for part in parts)
    for attachment in objects_in(object_in(message.get("metadata")).get("attachments")):
        if str(attachment.get("id")) not in pointers:  # an image is a part and an attachment
            yield _media(str(attachment.get("mime_type")), FILES)
    if kind == "thoughts":
        yield THOUGHTS
    elif message.get("recipient") not in (None, "all") or object_in(message.get("author")).get("role") == "tool":
        yield from () if media else (TOOLS,)
    elif kind not in ("None", "text", "multimodal_text", "reasoning_recap"):
        yield OTHERS


def left_out_of_claude(message: Foreign) -> Iterator[str]:
    """Yield the kind of each non-text block and each file without text of a message."""
    blocks = objects_in(message.get("content"))
    yield from left_out_of_parts([block for block in blocks if block.get("type") not in _WITHOUT_CONTENT])
    attached = [file for file in objects_in(message.get("attachments")) if not file.get("extracted_content")]
    for file in (*attached, *objects_in(message.get("files"))):
        yield _media(str(mimetypes.guess_type(str(file.get("file_name")))[0]), FILES)


def left_out_of_parts(content: Any) -> Iterator[str]:
    """Yield the kind of each part that is no text, of content as most chat APIs send it."""
    for part in objects_in(content):
        kind = str(part.get("type"))
        if "tool" in kind:
            yield TOOLS
        elif "think" in kind or "reason" in kind:
            yield THOUGHTS
        elif kind not in _TEXTS:
            yield _media(kind, OTHERS)


def text_of_parts(content: Any) -> str:
    """Return content that is text, or the text of its text parts."""
    if isinstance(content, str):
        return content
    texts = [_text_of(part) for part in objects_in(content) if part.get("type") in _TEXTS]
    return "\n".join(filter(None, texts))


def _text_of(part: Foreign) -> str:
    text = part.get("text")
    text = text.get("value") if isinstance(text, dict) else text
    return text if isinstance(text, str) else ""


def _media(name: str, otherwise: str) -> str:
    return next((kind for word, kind in _MEDIA.items() if word in name), otherwise)


def from_json_text(value: Any) -> Any:
    """Return the value of JSON text, and anything else unchanged."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def object_in(value: Any) -> Foreign:
    return value if isinstance(value, dict) else {}


def objects_in(values: Any) -> list[Foreign]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
