"""Other notations of numbers, dates, times and abbreviations, which the index stores beside the words of a text.

People write long numbers in groups or as a whole, dates in words or in digits, 3 pm as 15:00 or 15h00, and Henry VIII
as Henry 8.
"""

import re

_GROUPS = re.compile(
    r"(?<![A-Za-z\d_.,:-])(?:\d{2,5}(?: \d{2,5}){2,6}"  # a card, a phone number
    r"|[A-Za-z]{2}\d\d(?: [A-Za-z\d]{4}){2,7}(?: [A-Za-z\d]{1,3})?"  # an IBAN
    r"|(?:[\dA-Fa-f]{2}:){5}[\dA-Fa-f]{2}"  # the address of a network card
    r"|(?<!/)[A-Za-z\d]{1,6}(?:/\d{1,6}){2,3}(?!/))(?![A-Za-z\d_:]|[.,]\d)"  # an invoice, a date
)
_DIGIT = re.compile(r"[\dA-Fa-f]")
LEAST_JOINED = 8
"""Groups with fewer digits in total are not joined: they are numbers in a row."""

_PHONE = re.compile(
    r"(?<![A-Za-z\d_.,:/+-])(?:(?:\+|00)\d[\d ()./-]{6,20}\d"  # +49 (0)30 901-820
    r"|\(\d{2,5}\) ?\d[\d ./-]{3,12}\d"  # (415) 555-2671
    r"|0\d{1,4}[ /-]{1,3}\d[\d -]{3,12}\d)(?![A-Za-z\d_]|[.,:]\d)"  # 030/901820
)
LONGEST_COUNTRY_CODE = 3
MOST_JOINED = 15
"""No phone number has more digits."""

_PAIR = re.compile(r"(?<![\d.,:])(\d{1,3}(?:,\d{3})+|\d+)([.:])(\d{1,2})(?!\d|[.,:]\d)")
"""A number with a point, or a time: 3.5, 1,250.50, 14:30."""

_LETTERS = str.maketrans("0123456789abcdef.:", "bcdfghjklmnpqrstou")

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NUMBERS = {month[:3]: number for number, month in enumerate(_MONTHS, 1)}
_OTHER_NAMES = {month[:3]: month for month in _MONTHS if month != "may"}
_OTHER_NAMES |= {month: month[:3] for month in _OTHER_NAMES.values()}
_OTHER_NAMES |= {"sep": "september sept", "sept": "september sep", "september": "sep sept"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_OTHER_NAMES |= {day[:3]: day for day in _DAYS} | {day: day[:3] for day in _DAYS}
"""The other names of each month that has several, and of the days of the week."""

_YEAR_FIRST = re.compile(r"(?<![A-Za-z\d_/.-])(\d{4})([-/.])(0?[1-9]|1[0-2])\2(0?[1-9]|[12]\d|3[01])(?!\d|[-/.]\d)")
_DOTTED = re.compile(r"(?<![A-Za-z\d_/.-])(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.(\d{4})(?!\d|\.\d)")
_IN_WORDS = re.compile(
    r"(?<![A-Za-z\d_.,/-])(?:(0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\.? (?:of )?)?"
    r"\b(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?,?(?: (0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\b,?)? (\d{4})(?!\d)",
    re.IGNORECASE,
)
"""9 March 2026, or March 9th, 2026."""

_IN_HAN = re.compile(r"(?:(?<!\d)(\d{4})[年년] ?)?(?<!\d)(0?[1-9]|1[0-2])[月월] ?(0?[1-9]|[12]\d|3[01])[日号號일]")
"""9 March, perhaps with a year, in Chinese, Japanese or Korean."""

_CLOCK = re.compile(r"(?<![A-Za-z\d_.,:])(1[0-2]|0?[1-9])(?:[:.]([0-5]\d))? ?([ap])\.?m\b", re.IGNORECASE)

_OF_DAY = (
    re.compile(r"(?<![\d.,:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])"),  # 9:30
    re.compile(r"(?<![\w.,:])([01]?\d|2[0-3]) ?h ?([0-5]\d)(?!\w)", re.IGNORECASE),  # 9h30, in French
    re.compile(r"(?<![\d.,:])([01]?\d|2[0-3])\.([0-5]\d) (?:uhr|h)\b", re.IGNORECASE),  # 9.30 Uhr
    re.compile(r"\b(?:kl\.?|klo|ore|alle|pukul) ([01]?\d|2[0-3])\.([0-5]\d)(?![\d.])", re.IGNORECASE),
)
"""Times of the day. The last one has the word for *at* in Danish, Swedish, Finnish, Italian or Indonesian."""

_HALF_IN_HAN = re.compile(
    r"(上午|早上|午前|오전|下午|晚上|午後|오후) ?(1[0-2]|0?\d) ?[点點時시](?! ?[间間간]) ?(?:([0-5]\d) ?[分분])?"
)
"""3 in the morning or in the afternoon, in Chinese, Japanese or Korean."""

_MORNING = ("上午", "早上", "午前", "오전")
NOON = 12

_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10}
_MAYBE_ROMAN = re.compile("[IVX][IVX]")
_ROMAN = re.compile(r"(?<![\w-])(?=[IVX]{2,6}(?!\w))X{0,3}(?:IX|IV|V?I{0,3})(?!\w)")
"""From II to XXXIX. A single letter is more often something else."""

_SLASHED = re.compile(r"(?<![\w/])([A-Z]{1,4})/([A-Z]{1,4})(?![\w/])")
_HAS_DIGIT = re.compile(r"\d")


def others(text: str) -> str:
    """Return what a text has in a notation of several, in the others: `AC/DC` as ACDC, and `Henry VIII` with 8."""
    words = ["".join(letters) for letters in _SLASHED.findall(text)] if "/" in text else []
    if _MAYBE_ROMAN.search(text):
        words += [str(_value(numeral)) for numeral in _ROMAN.findall(text)]
    if _HAS_DIGIT.search(text):
        words += [*_joined(text), *_clock_times(text), *_dates(text)]
    return " ".join(words)


def _value(numeral: str) -> int:
    digits = [_ROMAN_DIGITS[digit] for digit in numeral]
    return sum(-one if one < following else one for one, following in zip(digits, [*digits[1:], 0], strict=True))


def _joined(text: str) -> list[str]:
    """Return the numbers that a text has in parts, each as one word: `4111 1111 1111 1111` without its blanks, colons
    or slashes, a phone number as `_dialed`, and `3.5` and `14:30` in letters, because 35 is another number.
    """
    groups = (re.sub("[ :/]", "", group) for group in _GROUPS.findall(text))
    words = [group for group in groups if len(_DIGIT.findall(group)) >= LEAST_JOINED]
    words += [number for phone in _PHONE.findall(text) for number in _dialed(phone)]
    return words + [in_letters("".join(pair).replace(",", "")) for pair in _PAIR.findall(text)]


def in_letters(code: str) -> str:
    """Return a word for a number or hexadecimal code. No stemmer changes a word that ends in q."""
    return f"{code.translate(_LETTERS)}q"


def is_code(word: str) -> bool:
    """Return whether the word may be one of `in_letters`. No other word ends so, except for a few abbreviations."""
    return word.endswith("q") and word[-2:-1] not in {*"aeiou"}


def _clock_times(text: str) -> list[str]:
    """Return the times of the day as `_joined` returns `15:45`, with and without a 0 before a single digit, and hours
    after noon as 3 pm.
    """
    times = [(int(hour), minute) for pattern in _OF_DAY for hour, minute in pattern.findall(text)]
    halves = [(hour, minute, half in "pP") for hour, minute, half in _CLOCK.findall(text)]
    halves += [(hour, minute, half not in _MORNING) for half, hour, minute in _HALF_IN_HAN.findall(text)]
    times += [(int(hour) % NOON + (NOON if is_late else 0), minute or "00") for hour, minute, is_late in halves]
    words = {in_letters(f"{written}:{minute}") for hour, minute in times for written in (hour, f"{hour:02}")}
    return [*words, *(f"{hour - NOON} pm" for hour, _ in times if hour > NOON)]


def _dates(text: str) -> list[str]:
    """Return the dates of a text as `2026-03-09`, and those in digits in words too.

    Dates with slashes that do not begin with the year are left out, because they are read in two ways.
    """
    year_first = [(year, month, day) for year, _, month, day in _YEAR_FIRST.findall(text)]
    in_digits = [*year_first, *((year, month, day) for day, month, year in _DOTTED.findall(text))]
    dates = [f"{year}-{month:>02}-{day:>02} {_in_words(int(month), int(day))}" for year, month, day in in_digits]
    for day_before, name, day_after, year in _IN_WORDS.findall(text):
        if day := day_before or day_after:
            dates.append(f"{year}-{_NUMBERS[name[:3].lower()]:02}-{day:>02}")
    for year, month, day in _IN_HAN.findall(text):
        dates.append(f"{in_letters(f'{month}.{day}')} {f'{year}-{month:>02}-{day:>02}' if year else ''}")
    return dates


def _in_words(month: int, day: int) -> str:
    name = _MONTHS[month - 1]
    return f"{day} {name} {_OTHER_NAMES.get(name, '')}"


def other_names(text: str) -> str:
    """Return the other names of months and days beside numbers: `jun` for June 7 and 7 June, `tuesday` for Tue 3 pm."""
    if not _HAS_DIGIT.search(text):
        return ""
    words = text.split()
    names = ((place, _OTHER_NAMES.get(word.strip("(.,;:)").lower())) for place, word in enumerate(words))
    return " ".join(
        other for place, other in names if other and _HAS_DIGIT.search(" ".join(words[max(place - 1, 0) : place + 2]))
    )


def _dialed(phone: str) -> list[str]:
    """Return the digits as people dial them: with the code of the country, and without it, with and without a 0.

    A code has one to three digits, and nothing tells how many.
    """
    number = re.sub(r"\D", "", phone.replace("(0)", ""))
    is_international = phone.startswith(("+", "00"))
    number = number.removeprefix("00") if is_international else number
    if not LEAST_JOINED <= len(number) <= MOST_JOINED:
        return []
    if not is_international:
        return [number, number.removeprefix("0")] if number.startswith("0") else [number]
    national = [number[length:] for length in range(1, LONGEST_COUNTRY_CODE + 1)]
    return [number, *national, *(f"0{rest}" for rest in national)]
