"""Every numbered requirement has a test that is named after it, or a line in docs/security.md that says why not."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ITEMS = {f"c{number:02}" for number in range(1, 19)} | {f"{number:03}" for number in range(1, 109)}
NAMES = re.compile(r"def test_((?:c\d\d_|\d{3}_)+)")
LINES = re.compile(r"^- \*\*(C?\d+)\*\*", re.MULTILINE)


def named() -> set[str]:
    text = "".join(file.read_text("utf-8") for file in (ROOT / "tests").glob("*/test_*.py"))
    return {item for name in NAMES.findall(text) for item in name.split("_") if item}


def told() -> set[str]:
    listed = LINES.findall((ROOT / "docs/security.md").read_text("utf-8"))
    return {f"c{number[1:]:>02}" if number.startswith("C") else f"{number:>03}" for number in listed}


def test_no_requirement_is_forgotten() -> None:
    assert named() | told() == ITEMS
    assert named() & told() == set()
