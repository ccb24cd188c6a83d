"""Every requirement has a test that claims it, or a line in docs/security.md with the reason why not.

The name of a test is its claim: `test_c11_c12_066_the_answer_…` claims C11, C12 and 66 of tests/requirements.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.requirements import REQUIREMENTS

TESTS = Path(__file__).parent
CLAIMS = re.compile(r"test((?:_[cr]?\d+)+)_")
EXCEPTIONS = re.compile(r"^- \*\*([CR]?)(\d+)\*\* ", re.MULTILINE)
DIGITS = {"c": 2, "": 3, "r": 2}


def claims_of(source: str) -> Iterator[str]:
    """Yield the ids in the names of the test functions that pytest collects: those of the module and its classes."""
    module = ast.parse(source)
    scopes: list[ast.Module | ast.ClassDef] = [module, *(one for one in module.body if isinstance(one, ast.ClassDef))]
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (claims := CLAIMS.match(node.name)):
                yield from claims[1].removeprefix("_").split("_")


def claimed() -> dict[str, set[str]]:
    """Return the files that claim each id."""
    files = defaultdict(set)
    for file in (file for file in sorted(TESTS.rglob("test_*.py")) if "node_modules" not in file.parts):
        for claim in claims_of(file.read_text("utf-8")):
            files[claim].add(str(file.relative_to(TESTS)))
    return files


def excepted() -> set[str]:
    """Return the ids of the lines `- **R22** …` in docs/security.md."""
    lines = EXCEPTIONS.findall((TESTS.parent / "docs" / "security.md").read_text("utf-8"))
    return {f"{kind.lower()}{number:>0{DIGITS[kind.lower()]}}" for kind, number in lines}


def test_every_requirement_is_claimed_or_excepted() -> None:
    missing = REQUIREMENTS.keys() - claimed().keys() - excepted()
    assert {one: REQUIREMENTS[one].sentence for one in sorted(missing)} == {}


def test_no_requirement_is_both_claimed_and_excepted() -> None:
    assert {one: files for one, files in claimed().items() if one in excepted()} == {}


def test_no_unknown_requirement_is_claimed_or_excepted() -> None:
    assert {one: files for one, files in claimed().items() if one not in REQUIREMENTS} == {}
    assert excepted() <= REQUIREMENTS.keys()


def test_the_numbers_have_no_gaps() -> None:
    last = {"c": 18, "": 108, "r": 35}
    ids = [f"{kind}{number:0{DIGITS[kind]}}" for kind in last for number in range(1, last[kind] + 1)]
    assert list(REQUIREMENTS) == ids


def test_each_requirement_is_one_sentence_with_a_source() -> None:
    for one, requirement in REQUIREMENTS.items():
        assert requirement.sentence.endswith("."), one
        assert ". " not in requirement.sentence, one
        assert requirement.source.strip(), one
    assert len({requirement.sentence for requirement in REQUIREMENTS.values()}) == len(REQUIREMENTS)


def test_claims_are_read_from_what_pytest_collects() -> None:
    source = """
def test_r1_c02_104_short(): ...
class TestMore:
    async def test_r02_more(self): ...
def helper():
    def test_003_never_collected(): ...
def test_2026_is_a_claim_too(): "def test_004_only_text"
def test_s256_is_a_word(): ...
"""
    assert list(claims_of(source)) == ["r1", "c02", "104", "2026", "r02"]
