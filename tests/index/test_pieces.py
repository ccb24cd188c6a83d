"""Memories are cut into sentences that fit into the model's window, quickly."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from server.index.model import bundled
from server.index.pieces import (
    MAX_LEAD_LENGTH,
    MAX_PIECE_LENGTH,
    MAX_SENTENCE_PIECES,
    lead_of,
    length_penalty,
    pieces_of,
)

TOKENIZER = Tokenizer.from_file(str(bundled.source_folder() / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.no_truncation()

LEADS = st.sampled_from(["", "Caroline", "Dr. Li", "Quarterly review, the long one of the winter", "小明"])
WORDS = st.sampled_from(
    ["I", "went", "to", "Dr.", "3.5", "e.g.", "home.", "Really?!", "你好。", "हूँ।", "안녕", "…", "🎉", "x" * 90]
)
SEPARATORS = st.sampled_from([" ", " ", "  ", "\n", "\nuser: ", "\r\n- ", "\u2028"])
PROSE = st.lists(st.tuples(WORDS, SEPARATORS), max_size=400).map(lambda pairs: "".join(map("".join, pairs)))
CONTENTS = st.one_of(st.text(max_size=1000), PROSE)


def texts(content: str, lead: str = "") -> list[str]:
    return [piece.text for piece in pieces_of(content, lead)]


@given(CONTENTS, LEADS)
def test_every_character_that_is_not_blank_is_in_exactly_one_piece(content: str, lead: str) -> None:
    pieces = pieces_of(content, lead)
    ends = [0, *(piece.end for piece in pieces)]
    starts = [*(piece.start for piece in pieces), len(content)]
    assert all(not content[end:start].strip() for end, start in zip(ends, starts, strict=True))
    assert all(end <= start for end, start in zip(ends, starts, strict=True))


@given(CONTENTS, LEADS)
def test_a_piece_is_a_slice_of_the_text_with_at_most_a_lead_before_it(content: str, lead: str) -> None:
    for piece in pieces_of(content, lead):
        part = content[piece.start : piece.end]
        before = piece.text.removesuffix(part)
        assert part == part.strip() != ""
        assert piece.text.endswith(part)
        assert before == "" or before.endswith(": ")
        assert len(part) <= MAX_PIECE_LENGTH + MAX_LEAD_LENGTH


@given(CONTENTS, LEADS)
def test_the_same_text_is_always_cut_the_same_way(content: str, lead: str) -> None:
    assert pieces_of(content, lead) == pieces_of(content, lead)


@given(CONTENTS, LEADS)
def test_a_piece_begins_with_the_lead_at_most_once(content: str, lead: str) -> None:
    for piece in pieces_of(content, lead):
        before = piece.text.removesuffix(content[piece.start : piece.end])
        assert not before or not piece.text.removeprefix(before).startswith(before)


@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=200)))
def test_a_lead_is_one_short_line_of_at_most_forty_characters(content: str, speaker: str | None) -> None:
    lead = lead_of(content, speaker)
    assert len(lead) <= MAX_LEAD_LENGTH
    assert lead == lead.strip()
    assert len(lead.splitlines()) <= 1


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_pieces_never_have_a_smaller_penalty(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert 0 <= length_penalty(few) <= length_penalty(many)


@settings(deadline=None)
@given(CONTENTS, LEADS)
def test_no_piece_is_longer_than_the_models_window(content: str, lead: str) -> None:
    encodings = TOKENIZER.encode_batch(texts(content, lead[:MAX_LEAD_LENGTH]))
    assert all(len(encoding.ids) <= bundled.MAX_TOKENS for encoding in encodings)


@pytest.mark.parametrize(
    "unit",
    ["안녕하세요 ", "你好", "मैं दिल्ली में ", "مرحبا بكم ", "!?", "qxzjkvwqxzjkvwqxzjkvwqxzjkvw ", "4f9c07e1" * 8 + " "],
)
def test_no_script_and_no_key_exceeds_the_models_window(unit: str) -> None:
    encodings = TOKENIZER.encode_batch(texts(unit * (3000 // len(unit)), "A title that is as long as a lead may be"))
    assert 100 < max(len(encoding.ids) for encoding in encodings) <= bundled.MAX_TOKENS


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        (
            "Caroline: Hey Mel! Good to see you! How have you been?",
            ["Caroline: Hey Mel! Good to see you!", "Caroline: How have you been?"],
        ),
        (
            "Dr. Li said No. 7 has 3.5 mg, e.g. of J. K.'s stuff. He said no. See https://a.b/c.d?x=1. It was... good.",
            [
                "Dr. Li said No. 7 has 3.5 mg, e.g. of J. K.'s stuff.",
                "He said no.",
                "See https://a.b/c.d?x=1. It was... good.",
            ],
        ),
        (
            'He said "I will come back!" Nobody had asked him.',
            ['He said "I will come back!"', "Nobody had asked him."],
        ),
        (
            "user: I moved to Lyon.\nassistant: Here is a list:\n- a flat with a view\n- a school nearby",
            [
                "user: I moved to Lyon.",
                "assistant: Here is a list:",
                "assistant: - a flat with a view",
                "assistant: - a school nearby",
            ],
        ),
        (
            "小明：我在上海工作，是一名医生。我的妹妹住在北京的大学里！",
            ["小明：我在上海工作，是一名医生。", "小明: 我的妹妹住在北京的大学里！"],
        ),
        (
            "राम: मैं दिल्ली में रहता हूँ। मुझे सुबह की चाय पसंद है।",
            ["राम: मैं दिल्ली में रहता हूँ।", "राम: मुझे सुबह की चाय पसंद है।"],
        ),
        ("1. Buy oat milk\n2. Call the plumber", ["1. Buy oat milk", "2. Call the plumber"]),
        ("no punctuation at all in this one", ["no punctuation at all in this one"]),
        ("Wow!", ["Wow!"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(content: str, pieces: list[str]) -> None:
    assert texts(content) == pieces


@pytest.mark.parametrize(
    "content",
    ["http://example.com: is down", "Note to self about 3: buy milk", "10:30 we met", "I said: no", "12: the answer"],
)
def test_text_that_only_looks_like_a_speaker_is_no_lead(content: str) -> None:
    assert texts(f"{content}. And then some more was said.")[-1] == "And then some more was said."


def test_the_lead_from_the_metadata_is_in_front_of_every_piece_unless_the_text_names_a_speaker() -> None:
    assert texts("I like tea a lot. I hate coffee.", "Mel") == ["Mel: I like tea a lot.", "Mel: I hate coffee."]
    assert lead_of("I like tea.", " Mel:\n") == "Mel"
    assert lead_of("I like tea.", None) == ""
    assert lead_of("Caroline: I like tea.", "Mel") == ""
    assert len(lead_of("I like tea.", "x" * 500)) == MAX_LEAD_LENGTH


def test_a_long_memory_is_packed_and_covered_to_its_end() -> None:
    facts = [f"Fact number {number} is about city {number * 7}." for number in range(2500)]
    pieces = pieces_of(" ".join(facts))
    assert MAX_SENTENCE_PIECES < len(pieces) < len(facts) / 4
    assert all(any(fact in piece.text for piece in pieces) for fact in facts)


@pytest.mark.parametrize(
    "unit", ["a. ", "word ", "x", "Dr. ", "\n-", "user: a\n", "！", "‘", '."', "한", ".", "?!", "…"]
)
def test_a_hundred_kilobytes_of_anything_are_cut_within_five_seconds(unit: str) -> None:
    content = unit * (100_000 // len(unit))
    began = time.process_time()
    pieces_of(content)
    assert time.process_time() - began < 5


def test_the_length_penalty_begins_above_16_pieces_and_grows() -> None:
    assert [length_penalty(pieces) for pieces in (0, 1, 2, 16)] == [0, 0, 0, 0]
    assert 0 < length_penalty(17) < length_penalty(100) < length_penalty(1000) < 0.25
