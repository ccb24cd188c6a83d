"""The words of a question are marked in texts of every script. No character is split."""

import unicodedata

import pytest

from server.domain.memory.excerpts import TITLE_LENGTH, excerpt_of, title_of
from server.domain.memory.pages import highlights
from server.domain.memory.pages.highlights import Highlighter


@pytest.mark.parametrize(
    ("text", "question"),
    [("Call 030 901820", "+4930901820"), ("Release 4.2", "v4.2"), ("It has dark mode", "dark-mode")],
)
def test_other_spellings_of_a_word_do_not_count_as_missing(text: str, question: str) -> None:
    assert Highlighter(question).coverage(text) > 0.5


@pytest.mark.parametrize(
    ("text", "question", "marked"),
    [
        ("موعد طبيب الأسنان في المستشفى", "الاسنان المستشفي", ["الأسنان", "المستشفى"]),
        ("مُسْتَشْفى", "مستشفى", ["مُسْتَشْفى"]),
        ("من چای می\u200cخورم", "چاي میخورم", ["چای", "می\u200cخورم"]),
        ("שָׁלוֹם עולם", "שלום", ["שָׁלוֹם"]),
        ('הוא שירת בצה"ל בתל־אביב', "צהל אביב", ['צה"ל', "אביב"]),
        ("el col·legi i l‘obra", "collegi lobra", ["col·legi", "l‘obra"]),
        ("ฉันดื่มน้ำเย็น", "น้ำ", ["น้ำ"]),
        ("ຂ້ອຍມັກກິນຕຳໝາກຫຸ່ງ", "ຕຳໝາກຫຸ່ງ", ["ຕຳໝາກຫຸ່ງ"]),
        ("ｶﾞｲﾄﾞを買った", "ガイド", ["ｶﾞｲﾄﾞ"]),
        (unicodedata.normalize("NFD", "한글 시험"), "한글", [unicodedata.normalize("NFD", "한글")]),
        ("ㅋㅋㅋ 네", "ㅋㅋㅋ", ["ㅋㅋㅋ"]),
        (unicodedata.normalize("NFD", "Mein Café, Äpfel"), "café apfel", ["Cafe\u0301", "A\u0308pfel"]),
        ("IŞIK İstanbul'da", "ışık istanbul", ["IŞIK", "İstanbul'da"]),
        ("🎉 of 👩\u200d👧 in 🇩🇪 👍🏽", "🎉 👩\u200d👧 👍", ["🎉", "👩\u200d👧", "👍🏽"]),
        ("C++, C# or .NET; a net", "c++ c#", ["C++", "C#"]),
        ("りんごとﾊﾞﾅﾅを買った", "リンゴ ばなな", ["りんご", "ﾊﾞﾅﾅ"]),
        ("熱いコ−ヒ−とか゛らす", "コーヒー ガラス", ["コ−ヒ−", "か゛らす"]),
        ("後台發展與渡邊", "后台发展 渡辺", ["後台發展", "渡邊"]),
        ("मेरी हिन्दी, तुम्हारी हिंदी", "हिन्दी", ["हिन्दी", "हिंदी"]),
        ("ดื่มนํ้ากับเเมว", "น้ำ แมว", ["นํ้า", "เเมว"]),
        ("Живим у Београду", "Beogradu", ["Београду"]),
        ("by O´Brien", "obrien", ["O´Brien"]),
        ("my Bitwarden vault", "bit warden", ["Bitwarden"]),
        ("我买了iPhone手机和充电器", "iPhone", ["iPhone"]),
        ("自宅のWi-Fiのパスワード", "wi-fi", ["Wi-Fi"]),
        ("2026年3月に後でC#を習う", "C# 2026", ["2026", "C#"]),
        ("Die Steuererklärung", "Steuer", ["Steuererklärung"]),
        ("Yazlığın anahtarı", "anahtarlar", ["anahtarı"]),
        ("המפתח הרזרבי", "מפתחות", ["מפתח"]),
    ],
)
def test_words_are_marked_in_every_script(text: str, question: str, marked: list[str]) -> None:
    highlighter = Highlighter(question)
    assert [text[start:end] for start, end in highlighter.spans(text)] == marked
    assert highlighter.coverage(text) == 1


@pytest.mark.parametrize("character", ["कि", "กี่", "e\u0301", "👩\u200d👧", "👍🏽", "🇩🇪"])
def test_no_title_ends_within_a_character(character: str) -> None:
    for shift in range(len(character)):
        title = title_of("x" * shift + character * TITLE_LENGTH, {})
        assert TITLE_LENGTH - len(character) <= len(title) <= TITLE_LENGTH
        assert (len(title) - shift - 1) % len(character) == 0


@pytest.mark.parametrize(
    ("word", "question"),
    [
        ("مدرسة", "مدرسه"),
        ("کتاب", "كتاب"),
        ("배포", "배포"),
        ("ﾀﾜｰ", "たわー"),
        ("發展", "发展"),
        ("हिन्दी", "हिंदी"),
        ("เเมว", "แมว"),
    ],
)
def test_an_excerpt_is_around_the_word_in_any_spelling(word: str, question: str) -> None:
    text = f"{'과 나 ' * 300} {word} {'과 나 ' * 300}"
    assert word in excerpt_of(text, question, "", 100)


def test_letters_without_end_are_no_word_to_mark() -> None:
    """Looking for 10,000 of them at every position of a memory held up the server for seconds."""
    letters = "א" * 3_000
    assert Highlighter(letters).spans(letters) == []
    assert Highlighter(letters[:100]).spans(letters[:150]) == [(0, 150)]


def test_no_text_is_cut_into_words_without_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a list marks nothing in its fifty texts."""
    monkeypatch.setattr(highlights, "terms_of", None)
    assert Highlighter(" ").spans("a red canoe") == []
