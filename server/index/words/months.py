"""Dates in words of other languages, in English: `14. März 2026` and `14 марта 2026` are 14 march 2026."""

import re

from server.index.words.normalization import normalize

_NAMES = (
    "january januar januari janvier enero janeiro gennaio ianuarie gener stycznia ledna ocak января січня ιανουαριου "
    "يناير",
    "february februar februari fevrier febrero fevereiro febbraio februarie lutego unora subat февраля лютого "
    "φεβρουαριου فبراير",
    "march marz mars marts maart marzo marco martie marca brezna mart maret марта березня μαρτιου مارس",
    "april avril abril aprile aprilie kwietnia dubna nisan апреля квітня απριλιου ابريل",
    "may mai mei maj mayo maio maggio maig maja kvetna mayis мая травня μαιου مايو",
    "june juni juin junio junho giugno iunie juny czerwca cervna haziran июня червня ιουνιου يونيو",
    "july juli juillet julio julho luglio iulie juliol lipca cervence temmuz июля липня ιουλιου يوليو",
    "august augustus augusti aout agosto agost sierpnia srpna agustos agustus августа серпня αυγουστου اغسطس",
    "september septembre septiembre setembro settembre septembrie wrzesnia zari eylul сентября вересня σεπτεμβριου "
    "سبتمبر",
    "october oktober octobre octubre outubro ottobre octombrie pazdziernika rijna ekim октября жовтня οκτωβριου اكتوبر",
    "november novembre noviembre novembro noiembrie listopada listopadu kasim ноября листопада νοεμβριου نوفمبر",
    "december dezember decembre diciembre dezembro dicembre decembrie desembre desember grudnia prosince aralik "
    "декабря грудня δεκεμβριου ديسمبر",
)
"""Each month in English, then in other languages, as dates have it and normalized."""

_ENGLISH = {name: names.split()[0] for names in _NAMES for name in names.split()[1:]}
_HAS_DIGIT = re.compile(r"\d")
_DATE = re.compile(
    r"(?<![\d.,:/-])(\d{1,2})(?:\.|er|º)? (?:de )?([^\W\d_]{3,14})\b(?:,? (?:de |del )?(\d{4})(?!\d))?"
    r"|\b([^\W\d_]{3,14}),? (?:de |del )?(\d{4})(?!\d)"
)
"""15 de mayo de 2026, or mayo de 2026."""


def in_english(text: str) -> list[tuple[str, str, str]]:
    """Return the dates that have a month of another language, each as the term of the month, the month in English, and
    the date in English.
    """
    if not _HAS_DIGIT.search(text):
        return []
    dates: list[tuple[str, str, str]] = []
    for day, name, year, month, its_year in _DATE.findall(text):
        term = normalize(name or month).casefold()
        if english := _ENGLISH.get(term):
            dates.append((term, english, f"{day} {english} {year or its_year}"))
    return dates
