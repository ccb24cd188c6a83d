"""Words that people write in several forms find each other, in both directions and on both databases."""

import hashlib
import subprocess
import sys
from typing import Literal

import pytest

from server.index.words import han
from server.index.words.normalization import normalize
from tests.index.test_words import shares
from tests.index.test_words_in_every_script import add_apart
from tests.support.world import World

KANA = [
    ("りんご", "リンゴ"),
    ("ﾘﾝｺﾞ", "りんご"),
    ("ﾘﾝｺﾞ", "リンゴ"),
    ("らーめん", "ラーメン"),
    ("らーめん", "ﾗｰﾒﾝ"),
    ("コ−ヒ−", "コーヒー"),
    ("コ－ヒ－", "こーひー"),
    ("ﾀｸｼ-", "タクシー"),
    ("か\u309bらす", "ガラス"),  # a voiced mark of its own
    ("ハ\u309cン", "パン"),
    ("ヴィラ", "ゔぃら"),
    ("3ヶ月", "3か月"),
    ("3ケ月", "3ヵ月"),
    ("霞ヶ関", "霞ケ関"),
]
HAN = [
    ("后台发展", "後台發展"),
    ("学校", "學校"),
    ("経済発展", "經濟發展"),
    ("経済発展", "经济发展"),
    ("合併", "合并"),
    ("沪牌", "滬牌"),
    ("秘密", "祕密"),
    ("看着", "看著"),
    ("说明", "説明"),
    ("东京艺术", "東京芸術"),
    ("渡邉", "渡辺"),
    ("渡邊", "渡边"),
    ("髙橋", "高橋"),
    ("山﨑", "山崎"),
    ("𠮷野家", "吉野家"),
    ("横濱", "横浜"),
    ("葛\U000e0100飾", "葛飾"),  # a variant that a font draws
    ("部⻑", "部長"),  # a radical, as a PDF has it
    ("⼈事", "人事"),
]
ARABIC_AND_HEBREW = [
    ("ٱلكتاب", "الكتاب"),
    ("مؤثر", "موثر"),
    ("رئيس", "رییس"),
    ("وبالقلم", "قلم"),
    ("وللطبيب", "طبيب"),
    ("فكالبيت", "البيت"),
    ("خانۀ", "خانه"),
    ("خانهٔ", "خانه"),
    ("نامە", "نامه"),
    ("ھوں", "ہوں"),
    ("ګرم", "گرم"),
    ("١٬٢٥٠", "1,250"),
    ("\u061cعمان", "عمان"),  # an invisible mark before it
    ("װאָס", "וואס"),
    ("כלבים", "כלבימ"),
]
HEBREW_PREFIXES = [
    ("המפתח", "מפתח"),
    ("הדרכון", "בַּדַּרְכּוֹן"),
    ("לירושלים", "ירושלים"),
    ("מהבנק", "הבנק"),
    ("בתל־אביב", "תל אביב"),
    ("בצה״ל", "צה״ל"),
]
ARABIC_AND_AMHARIC_PREFIXES = [
    ("لأحمد", "أحمد"),
    ("وفاطمة", "فاطمة"),
    ("ولمحمود", "محمود"),
    ("بسيارتنا", "سيارتنا"),
    ("ለኦቾሎኒ", "ኦቾሎኒ"),
    ("የኢትዮጵያ", "ኢትዮጵያ"),
]
INDIC_AND_SOUTHEAST = [
    ("हिन्दी", "हिंदी"),
    ("मुम्बई", "मुंबई"),
    ("सम्बन्ध", "संबंध"),
    ("पण्डित", "पंडित"),
    ("गङ्गा", "गंगा"),
    ("અન્ત", "અંત"),
    ("ਫ਼ਸਲ", "ਫਸਲ"),
    ("ਹਿੰਦੀ", "ਹਿਂਦੀ"),
    ("ಹಿನ್ದಿ", "ಹಿಂದಿ"),
    ("উৎসব", "উত্\u200dসব"),
    ("ஸ்ரீ", "ஶ்ரீ"),
    ("นํ้า", "น้ำ"),
    ("เเมว", "แมว"),
    ("ນໍ້າ", "ນ້ຳ"),
    ("ក្ដី", "ក្តី"),
    ("ភាសា\u200bខ្មែរ", "ភាសាខ្មែរ"),
]
LATIN_AND_CYRILLIC = [
    ("Երևան", "ԵՐԵՎԱՆ"),
    ("Երեւան", "ԵՐԵՎԱՆ"),
    ("ґрунт", "грунт"),
    ("ƙasa", "kasa"),
    ("Ɗanuwa", "danuwa"),
    ("necəsən", "necesen"),
    ("Mawɔ", "mawo"),
    ("O´Brien", "O'Brien"),
    ("м´ята", "м’ята"),
    ("мʼята", "м'ята"),
    ("oʻzbek", "o‘zbek"),
    ("super\u200bman", "superman"),
    ("Đoković", "Djokovic"),
    ("Београду", "Beogradu"),
    ("Ђоковић", "Đoković"),
    ("Ђоковић", "djokovic"),
    ("ЉУБАВ", "ljubav"),
]
ENDINGS = [
    ("anahtarı", "anahtarlar"),
    ("tabletki", "tabletka"),
    ("chiave", "chiavi"),
    ("journaux", "journal"),
    ("שולחן", "שולחנות"),
    ("سيارات", "سيارتي"),
    ("बिल्ली", "बिल्लियों"),
    ("சாவி", "சாவிகள்"),
]
PAIRS = (
    KANA
    + HAN
    + ARABIC_AND_HEBREW
    + HEBREW_PREFIXES
    + ARABIC_AND_AMHARIC_PREFIXES
    + INDIC_AND_SOUTHEAST
    + LATIN_AND_CYRILLIC
    + ENDINGS
)

ENOUGH = 0.35
"""More than a match of the common parts of two words gives."""

KEPT_APART = [
    ("サバ", "サーバー"),
    ("ビル", "ビール"),
    ("かき", "がき"),
    ("きょう", "きよう"),
    ("犹豫", "予"),
    ("我欠他", "缺"),
    ("过滤", "沪"),
    ("जन्म", "जंम"),
    ("Это сок", "eto"),
    ("đi chợ", "dji"),
    ("בלון אדום", "מלון אדום"),
    ("وزیر پیر", "زیر"),
]


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_word_is_found_in_its_other_form(world: World, order: Literal["first", "second"]) -> None:
    pairs = [pair if order == "first" else pair[::-1] for pair in PAIRS]
    add_apart(world, [memory for memory, _ in pairs])
    missed = [pair for pair in pairs if shares(world, pair[1]).get(pair[0], 0) < ENOUGH]
    assert missed == []


def test_a_final_letter_does_not_hide_the_beginning_of_a_word(world: World) -> None:
    world.add("קניתי שולחנות חדשים")
    assert "קניתי שולחנות חדשים" in shares(world, "שולחן")


def test_words_that_differ_are_kept_apart(world: World) -> None:
    add_apart(world, [memory for memory, _ in KEPT_APART])
    assert [pair for pair in KEPT_APART if shares(world, pair[1]).get(pair[0], 0) >= ENOUGH] == []


def test_a_word_in_another_script_does_not_count_against_a_memory(world: World) -> None:
    """A question in Cyrillic letters may be Serbian, and its memories may be in Latin letters."""
    add_apart(world, ["Ključ je kod komšije", "Книга дома"])
    assert shares(world, "кључ")["Ključ je kod komšije"] > 0.9
    assert shares(world, "книга")["Книга дома"] > 0.9


def test_a_normalized_text_stays_as_it_is() -> None:
    for text in [*(text for pair in PAIRS + KEPT_APART for text in pair), "ヷヺ ヽヾ ゕヶ か゛"]:
        assert normalize(normalize(text)) == normalize(text), text


def test_one_form_stands_for_all_forms_of_a_han_character() -> None:
    forms = han._one_form()
    assert {han.fold_han(form) for form in forms.values()} == set(forms.values())


def test_the_forms_of_han_characters_are_those_of_this_version() -> None:
    """A new opencc may change them. Then the words of all memories must be written again: raise VERSION."""
    forms = "".join(f"{chr(code)}{form}" for code, form in sorted(han._one_form().items()))
    assert hashlib.sha256(forms.encode()).hexdigest()[:16] == "cd6c1342db9d1d2f"


def test_a_server_without_han_characters_does_not_load_their_forms() -> None:
    program = (
        "import sys; from server.index.words.tokenizer import terms_of; terms_of('Łódź Ёлка りんご');"
        "sys.exit('opencc' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
