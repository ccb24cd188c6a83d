"""The values of the form of a memory, and how they merge with the change of somebody else."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.dashboard.details import DetailRow, details_of, rows_of
from server.dashboard.fields import LABEL_KEYS, label_text, labels_of
from server.domain.memory.expiry import expiry_of
from server.domain.memory.versions import Version
from server.errors import Invalid
from server.models import Memory
from server.models.base import JsonObject

EXPIRY_DAYS = {"1": "In a day", "7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
NEVER = "never"


class Typed(NamedTuple):
    """The values of the form, as somebody typed them, and the version of the memory that they were made from."""

    texts: Mapping[str, str]
    rows: Sequence[DetailRow]

    def metadata(self, before: JsonObject) -> JsonObject:
        """Return the metadata that `before` becomes. Raises Invalid."""
        return details_of(self.rows, before) | labels_of(self.texts, before)

    def days(self) -> int | None:
        """Return in how many days the memory expires; None for never, and for no change. Raises Invalid."""
        choice = self.texts["expires"]
        if choice not in ("", NEVER, *EXPIRY_DAYS):
            raise Invalid("choose one of the options.", field="Expires")
        return int(choice) if choice in EXPIRY_DAYS else None

    def expiry(self) -> dict[str, object]:
        """Return the new expiry, or nothing if the form does not change it. Raises Invalid."""
        return {"expires_at": expiry_of(None, self.days())} if self.texts["expires"] else {}

    def merged(self, seen: "Typed", current: "Typed") -> "Typed":
        """Return the current values, but keep what differs from the values that the person has seen."""
        texts = {name: current.texts[name] if text == seen.texts[name] else text for name, text in self.texts.items()}
        own = [row for row in self.rows if row not in seen.rows and (row.name or row.value)]
        removed = {row.name for row in seen.rows} - {row.name for row in self.rows}
        replaced = removed | {row.name for row in own}
        return Typed(texts, [*(row for row in current.rows if row.name not in replaced), *own])

    def with_version_of(self, current: "Typed") -> "Typed":
        return self._replace(texts={**self.texts, "version": current.texts["version"]})


def stored(memory: Memory | Version) -> Typed:
    """Return the values of the form that shows this memory or version. Browsers change its line endings."""
    labels = {key: label_text(memory.details, key) for key in LABEL_KEYS}
    texts = {
        "text": memory.content.replace("\r\n", "\n"),
        "user_id": "",
        "expires": "",
        "version": str(memory.version),
        **labels,
    }
    return Typed(texts, rows_of(memory.details))
