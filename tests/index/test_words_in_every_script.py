"""The word index finds every spelling of a word, and the same memories on both databases."""

import tracemalloc
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import pytest

from server.index.words.normalization import normalize
from server.index.words.tokenizer import PART_LENGTH, indexed_terms, terms_of
from tests.index.test_words import MAY, shares
from tests.support.world import World

FOUND = [
    # accents and letters
    ("Café Müller at noon", "cafe muller"),
    ("Cafe Muller at noon", "CAFÉ MÜLLER"),
    ("Flight to São Paulo", "Sao Paulo"),
    ("İstanbul in May", "istanbul"),
    ("ISTANBUL in May", "ıstanbul"),
    ("Hauptstraße 5", "hauptstrasse"),
    ("HAUPTSTRASSE 5", "hauptstraße"),
    ("Łódź by train", "Lodz"),
    ("Đà Nẵng beach", "da nang"),
    ("Smørrebrød for lunch", "smorrebrod"),
    ("Her œuvre", "oeuvre"),
    ("Encyclopædia", "encyclopaedia"),
    ("A bowl of phở", "pho"),
    ("Ὀδυσσεύς sails", "ΟΔΥΣΣΕΥΣ"),
    ("Αθήνα", "αθηνα"),
    ("Ёлка стоит", "елка"),
    ("ЁЛКА", "ёлка"),
    ("Мой район", "РАЙОН"),
    ("مُحَمَّد", "محمد"),
    ("أحمد", "احمد"),
    ("الأَسنان", "الاسنان"),
    ("أُّم", "ام"),
    ("شـــكرا", "شكرا"),
    ("أحب القهوة", "قهوة"),
    ("قهوة بدون سكر", "القهوة"),
    ("بالمدرسة", "مدرسه"),
    ("للطبيب", "والطبيب"),
    ("مدرسة", "مدرسه"),
    ("مستشفى", "مستشفي"),
    ("اللہ", "الله"),
    ("שָׁלוֹם", "שלום"),
    ("שירת בצה״ל", "בצהל"),
    ("מטה צהל", 'צה"ל'),
    ("תל־אביב", "תל אביב"),
    ("תלאביב", "תל־אביב"),
    ("ג׳ירפה", "ג'ירפה"),
    ("צ׳ק", "צק"),
    ("ኣዲስ ዓለም", "አዲስ አለም"),
    ("ጸሐይ", "ፀሃይ"),
    ("ሠላም", "ሰላም"),
    ("അവൻ", "അവന\u0d4d\u200d"),
    ("col·legi", "collegi"),
    ("intelligencia", "intel·ligència"),
    ("Dara O\u2018Briain", "obriain"),
    ("Sinead O`Connor", "oconnor"),
    ("Ｆｕｌｌ １２３", "full 123"),
    ("ｶﾞﾗｽ", "ガラス"),
    ("٢٠٢٣", "2023"),
    ("हिन्दी भाषा", "हिन्दी"),
    ("फ़रवरी में शादी", "फरवरी"),
    ("मूँगफली से एलर्जी", "मूंगफली"),
    ("Herr Müller", "Mueller"),
    ("Herr Mueller", "Müller"),
    ("ÄRZTE IN TROMSØ", "aerzte"),
    ("Tromsø", "Tromsoe"),
    # other forms and compounds
    ("Der Kühlschrankreparaturdienst", "Kühlschrank"),
    ("Die Steuererklärung", "Steuer"),
    ("blåbærsyltetøy", "blåbær"),
    ("çikolatalı pasta", "çikolata"),
    ("அவள் சென்னையில் இருக்கிறாள்", "சென்னை"),
    ("আমি ঢাকায় থাকি", "ঢাকা"),
    ("കൊച്ചിയിൽ", "കൊച്ചി"),
    ("काठमाडौंमा", "काठमाडौं"),
    ("Երևանում", "երեւան"),
    ("თბილისში", "თბილის"),
    ("Улаанбаатарт", "улаанбаатар"),
    ("до пятницы", "пятница"),
    ("στον οδοντίατρο", "ΟΔΟΝΤΙΑΤΡΟΣ"),
    ("Ключ лежит в ящике", "ключи"),
    ("щётки", "щетка"),
    ("Οι ομάδες", "ομάδα"),
    ("ექიმთან", "ექიმი"),
    ("ಬೆಂಗಳೂರಿನಲ್ಲಿ", "ಬೆಂಗಳೂರು"),
    ("பள்ளிக்கூடத்தில்", "பள்ளிக்கூடம்"),
    ("തിരുവനന്തപുരത്ത്", "തിരുവനന്തപുരം"),
    ("বাঙালি খাবার", "বাঙালী"),
    ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "9fceb02"),
    # scripts without spaces
    ("绿茶", "茶"),
    ("我最喜欢的饮料是绿茶", "绿茶"),
    ("绿茶", "我最喜欢的绿茶在哪里"),
    ("喜欢茶", "你喝茶吗"),
    ("お茶を飲む", "茶"),
    ("きのこ", "の"),
    ("ตลาดน้ำ", "น้ำ"),
    ("กาแฟ", "ก"),
    ("ຕະຫຼາດ", "ຕະ"),
    ("ទីផ្សារ", "ទី"),
    ("မြန်မာ", "မြန်"),
    ("서비스를 배포했다", "배포"),
    ("금요일에 만나", "금요일"),
    ("차 한 잔", "차"),
    ("녹차", "차"),
    ("Wi-Fiのパスワード", "wifi"),
    ("用Node.js写后端", "nodejs"),
    ("後でC#を習う", "C#"),
    ("OPS-4417の件", "OPS4417"),
    ("电话是+49 30 901825吗", "030901825"),
    ("時刻は14:30です", "14:30"),
    # parts and wholes
    ("unlockWithBiometrics", "biometrics unlock"),
    ("unlock with biometrics", "unlockWithBiometrics"),
    ("class HTTPServerError", "server error"),
    ("parse_user_input", "user input"),
    ("MAX_RETRY_COUNT", "retry"),
    ("dark-mode", "darkmode"),
    ("darkmode", "dark-mode"),
    ("A castle of LEGO™", "lego"),
    ("Bake it for 5½ hours", "5"),
    ("Founded in 2017²", "2017"),
    ("The FRITZ!Box is slow", "fritzbox"),
    ("Ticket OPS-4417", "OPS4417"),
    ("Ticket OPS4417", "OPS-4417"),
    ("Ticket OPS4417", "ops 4417"),
    ("the 15pro", "15 pro"),
    ("Miles O'Brien", "obrien"),
    ("Written in C++", "C++"),
    ("Written in C#", "c#"),
    ("Written in F#", "F#"),
    ("Written for .NET", ".net"),
    ("Runs on Node.js", "node.js"),
    ("Runs on Node.js", "nodejs"),
    ("The R&D team", "R&D"),
    ("It costs 1,250.50 dollars", "1250"),
    ("It costs 12.500 euros", "12500"),
    ("Call 555.867.5309", "555-867-5309"),
    ("Call 5558675309", "555.867.5309"),
    ("It costs 1250 dollars", "1,250"),
    ("Card 4111 1111 1111 1234", "4111111111111234"),
    ("Card 4222222222221234", "4222 2222 2222 1234"),
    ("IBAN DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
    ("IBAN GB33BUKB20201555555555", "GB33 BUKB 2020 1555 5555 55"),
    ("Call +49 30 1234 5678", "493012345678"),
    ("Paid INV/2024/0057", "INV20240057"),
    ("Paid INV-2024-0058", "INV/2024/0058"),
    ("Call (415) 555-2671", "4155552671"),
    ("Call 4155552672", "(415) 555-2672"),
    ("Call +1 323 706 9264", "+13237069264"),
    ("Call +13237069265", "323 706 9265"),
    ("Call +1 (323) 706-9266", "3237069266"),
    ("Call 030/901821", "030901821"),
    ("Call 030 901822", "+49 30 901822"),
    ("Call +49 (0)30 901823", "030901823"),
    ("Call 0049 30 901824", "+4930901824"),
    ("Printer 00:1A:2B:3C:4D:5E", "001a2b3c4d5e"),
    ("Scanner 001A2B3C4D5F", "00:1a:2b:3c:4d:5f"),
    # emoji
    ("Anna loves 🍕", "🍕"),
    ("Well done👍🏽", "👍"),
    ("I ❤️ Paris", "❤"),
    ("我爱🍜", "🍜"),
    ("Trip to 🇩🇪", "🇩🇪"),
    ("Ate 🍕 with Bob", "pizza"),
    ("A pizza in Naples", "🍕"),
    ("Bought a 🎸", "guitars"),
    ("Walked the 🐶", "dog"),
    ("The family 👨‍👩‍👧", "👩"),
]
KEPT_APART = [
    ("a catalogue", "cat"),
    ("الله", "له"),
    ("والد", "د"),
    ("im Hausboot", "Haus"),
    ("Planets and plants", "planned"),
    ("Two planes", "planet"),
    ("A carpenter", "carpet"),
    ("The runway", "running"),
    ("версия 20", "верба"),
    ("order 20241", "2024"),
    ("10 20 30 apples", "102030"),
    ("at 10:20:30", "102030"),
    ("か", "が"),
    ("สวย", "สี"),
    ("ទា", "ទី"),
    ("သွား", "သော့"),
    ("はし", "ばし"),
    ("война", "воина"),
    ("कि", "की"),
    ("लड़का", "लड़की"),
    ("Written in C", "C++"),
    ("Written in C++", "C#"),
    ("C++", "C"),
    ("Anna loves 🍕", "🍔"),
    ("Thanks 😂🙏👍", "face hands sign tears"),
    ("Trip to 🇩🇪", "🇩🇰"),
]


def add_apart(world: World, texts: Sequence[str]) -> None:
    """Store each text so that none is the context of the next."""
    for number, text in enumerate(dict.fromkeys(texts)):
        world.add(text, at=MAY + number * timedelta(hours=2))


@pytest.mark.parametrize("spelling", ["NFC", "NFD"])
def test_a_word_is_found_however_it_is_written(world: World, spelling: Literal["NFC", "NFD"]) -> None:
    form = unicodedata.normalize
    add_apart(world, [form(spelling, memory) for memory, _ in FOUND])
    missed = [pair for pair in FOUND if form(spelling, pair[0]) not in shares(world, pair[1])]
    assert missed == []


def test_letters_that_differ_are_kept_apart(world: World) -> None:
    add_apart(world, [memory for memory, _ in KEPT_APART])
    assert [pair for pair in KEPT_APART if pair[0] in shares(world, pair[1])] == []


def test_a_number_of_several_parts_counts_as_a_whole(world: World) -> None:
    rivals = {
        "3.2.2": ("Section 3.2.2 covers sick days", "Section 3.2.1 covers leave"),
        "3.2.1": ("Section 3.2.1 covers leave", "Python 3.1 and 2 books"),
        "20.11.0": ("Node v20.11.0 crashed", "Node v20.11.1 is pinned"),
        "v20.11.1": ("Node v20.11.1 is pinned", "Node v20.11.0 crashed"),
        "10.0.0.17": ("The printer is 10.0.0.17.", "The scanner is 10.0.0.18."),
        "chapter 5.3": ("Chapter 5.3 is about dogs", "Chapter 3.5 is about cats"),
        "gpt-4.1": ("They use gpt-4.1 here", "They use gpt-1.4 there"),
        "$19.90": ("Tea costs $19.90", "Milk costs $90.19"),
        "Jun 7": ("Dentist on June 7, 2025", "Doctor on May 7, 2025"),
        "Sept 3": ("Exam on September 3", "Exam on October 3"),
        "13 January": ("Car wash: 13 Jan.", "New tyres: 13 Feb."),
        "05/03/2025": ("Budget of 05/03/2025", "Budget of 03/05/2025"),
        "at 09:30": ("The bus leaves at 09:30", "The tram with 30 seats leaves at 09:45"),
    }
    add_apart(world, [text for pair in rivals.values() for text in pair])
    for question, (right, wrong) in rivals.items():
        found = shares(world, question)
        assert found.get(wrong, 0) < 0.8 * found[right], question


def test_a_word_that_is_found_does_not_miss_its_parts(world: World) -> None:
    """A question's word has parts, because memories may have it so. They count against no memory with the word."""
    whole = {
        "91157d5": "Commit 91157d5f1474683acb984da361574803b9191d5c broke it",
        "$1,136.18": "The bill is $1136.18",
        "dark-mode": "It has darkmode",
        "v4.2": "Release 4.2 is out",
    }
    add_apart(world, [*whole.values()])
    for question, text in whole.items():
        assert shares(world, question)[text] > 0.6, question
    assert shares(world, "dark or dark-mode")["It has darkmode"] < 0.6


def test_a_normalized_text_stays_as_it_is() -> None:
    for text in [*(text for pair in FOUND + KEPT_APART for text in pair), "Ё Й ў ї ﬁ ½ ₀ Ǆ ΐ ᾳ क़ 각"]:
        assert normalize(normalize(text)) == normalize(text)


def test_of_a_long_question_the_rarest_words_are_looked_for(world: World) -> None:
    common = " ".join(f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(48))
    world.add_many([f"{common} {n}" for n in range(5)], at=MAY)
    world.add("Invoice qzx is paid", at=MAY + timedelta(days=1))
    assert "Invoice qzx is paid" in shares(world, f"{common} qzx")


def test_a_very_long_question_is_answered(world: World) -> None:
    world.add("Invoice 8841 is paid", at=MAY)
    assert "Invoice 8841 is paid" in shares(
        world, " ".join(f"w{chr(97 + n % 26) * (n % 40)}" for n in range(2000)) + " 8841"
    )


def test_a_text_of_characters_that_stand_for_many_takes_little_memory() -> None:
    """This ligature is normalized to 18 letters and spaces. One memory took more than a gigabyte."""
    tracemalloc.start()
    try:
        terms = indexed_terms("\ufdfa" * 999_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(terms) > 100_000
    assert peak < 150_000_000


def test_the_parts_of_a_long_text_have_the_terms_of_the_whole() -> None:
    lines = [f"{number}. Größe {number:,} mit C# und node.js, 3か月, кључ{number}.\n" for number in range(3_000)]
    text = "".join(lines)
    assert len(text) > 5 * PART_LENGTH
    assert Counter(indexed_terms(text)) == Counter(terms_of(text))
