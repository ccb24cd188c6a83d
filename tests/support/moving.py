"""Files for imports."""

import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.lines import Line
from server.domain.memory.exchange.sources import checked, read_path

GRAPH: list[dict[str, Any]] = [
    {"type": "entity", "name": "Anna", "entityType": "person", "observations": ["likes tea", "lives in Rome"]},
    {"type": "relation", "from": "Anna", "to": "Acme", "relationType": "works_at"},
]

AT = "2024-01-01T00:00:00Z"
CLAUDE: dict[str, Any] = {
    "uuid": "u1", "name": "Bread", "created_at": AT,
    "chat_messages": [
        {"sender": "human", "text": "How long?", "created_at": AT},
        {"sender": "assistant", "text": "", "content": [
            {"type": "thinking", "thinking": "HM"}, {"type": "text", "text": "An hour."}]},
    ],
}  # fmt: skip


def read_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Yield the lines that an import reads from a file with this text."""
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(f"{line}\n".encode() for line in lines)
        file.flush()
        yield from checked(read_path(Path(file.name), Warnings()))


def read(path: Path, content: str | bytes | None = None, *, warnings: Warnings | None = None) -> list[Line]:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(checked(read_path(path, warnings or Warnings())))


def texts(path: Path, content: str | bytes | None = None) -> list[str]:
    return [line.content for line in read(path, content)]


def zipped(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return path


def said(role: str, text: str, parent: str | None, **message: object) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"message": {"author": {"role": role}, "content": content, **message}, "parent": parent}


def chat(**fields: object) -> dict[str, Any]:
    """Return a conversation with a tool call, a hidden instruction, and an answer that was regenerated."""
    mapping = {
        "root": {"message": None, "parent": None},
        "hidden": said("user", "HIDDEN", "root", metadata={"is_visually_hidden_from_conversation": True}),
        "q1": said("user", "Where to stay?", "hidden", create_time=1_700_000_000.5),
        "old": said("assistant", "REPLACED", "q1"),
        "call": said("assistant", "search(rome)", "q1", recipient="browser"),
        "tool": said("tool", "RESULT", "call"),
        "a1": said("assistant", "Near the station.", "tool", create_time=1_700_000_009),
        "q2": said("user", "And to eat?", "a1", create_time=1_700_000_100),
        "a2": said("assistant", "Trattoria.", "q2"),
    }
    return {
        "title": "Trip to Rome", "id": "c1", "create_time": 1.7e9, "mapping": mapping, "current_node": "a2", **fields,
    }  # fmt: skip
