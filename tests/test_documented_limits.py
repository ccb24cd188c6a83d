"""The table of limits in docs/security.md names every limit that a setting decides, with its default."""

import re
from pathlib import Path

from server.settings import Settings

ROOT = Path(__file__).parent.parent
LIMITS = {
    "RATE_LIMIT_REQUEST": "`1200/minute`",
    "RATE_LIMIT_MEMORY_ADD": "`60/minute`",
    "RATE_LIMIT_MEMORY_SEARCH": "`120/minute`",
    "RATE_LIMIT_MEMORY_CHANGE": "`120/minute`",
    "RATE_LIMIT_ORGANIZATION_CREATE": "`10/minute`",
    "RATE_LIMIT_PROJECT_CREATE": "`10/minute`",
    "RATE_LIMIT_INVITATION": "`20/hour`",
    "RATE_LIMIT_SIGN_UP": "`20/hour`",
    "RATE_LIMIT_SIGN_IN": "`10/minute`",
    "RATE_LIMIT_REGISTRATION": "`600/hour`",
    "RATE_LIMIT_DOCUMENT": "`60/hour`",
    "RATE_LIMIT_TOKEN_FAILURE": "`30/minute`",
    "QUOTA_MEMORIES": "unlimited",
    "QUOTA_BYTES": "unlimited",
}


def documented() -> dict[str, str]:
    """Name to default, from the table."""
    section = (ROOT / "docs" / "security.md").read_text("utf-8").partition("\n## Limits\n")[2].partition("\n## ")[0]
    return {
        name: row.split("|")[-2].strip() for name, row in re.findall(r"^\| `([A-Z_]+)`( .+)$", section, re.MULTILINE)
    }


def limits_in_settings() -> dict[str, str]:
    return {
        name.upper(): f"`{field.default}`" if field.default else "unlimited"
        for name, field in Settings.model_fields.items()
        if name.startswith(("rate_limit_", "quota_")) and name != "rate_limit_enabled"
    }


def test_the_table_has_every_limit_with_its_default() -> None:
    assert documented() == LIMITS


def test_no_setting_that_limits_is_missing_in_the_table() -> None:
    assert limits_in_settings().keys() - documented().keys() == set()


def test_the_table_tells_the_defaults_of_the_settings() -> None:
    settings, table = limits_in_settings(), documented()
    assert {name for name in table if settings.get(name) != table[name]} == set()
