"""Every security bar (R1-R35) has a test that is named after it, or a line in docs/security.md that says why not."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
NAMES = re.compile(r"def test_(?:\d{3}_)?((?:r\d{1,2}_)+)")
LINES = re.compile(r"^- \*\*R(\d+)\*\* ", re.MULTILINE)


def named() -> set[int]:
    text = "".join(file.read_text("utf-8") for file in TESTS.rglob("test_*.py"))
    return {int(bar) for name in NAMES.findall(text) for bar in re.findall(r"\d+", name)}


def told() -> set[int]:
    return {int(bar) for bar in LINES.findall((TESTS.parent / "docs" / "security.md").read_text("utf-8"))}


def test_no_bar_is_forgotten() -> None:
    assert named() | told() == set(range(1, 36))
    assert named() & told() == set()
