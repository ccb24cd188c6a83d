"""Dates, times, numbers and abbreviations find each other in the notations that people use, on both databases."""

import pytest

from server.index.words.notations import others
from tests.index.test_words import shares
from tests.index.test_words_in_every_script import add_apart
from tests.support.world import World

RIVALS = {
    # question: the right memory, and one that the common parts must not lift above it
    "2026-03-09": ("Concert on March 9th, 2026", "Flight on 2025-03-14, 09 of 2026"),
    "2030-06-12": ("Wedding on 12.06.2030", "Party on 06.12.2030"),
    "2031-4-1": ("Joke of 1 Apr 2031", "Joke of 4 January 2031"),
    "Dec 24th, 2032": ("Carols, 24 December 2032", "Carols, 2 December 2032, 24 people"),
    "3月9日": ("3月9日に出発", "9月3日に帰国"),
    "4월 8일": ("4월8일에 결혼", "8월 4일에 출장"),
    "2033年12月1日": ("租约到2033-12-01", "租约从2033-11-12"),
    "14. März 2034": ("Konzert am 14.03.2034", "Kino am 03.14.2034 und 14. April"),
    "15 de agosto": ("Vuelo el 15 de agosto de 2035", "Hotel desde el 15 de abril de 2035"),
    "15.08.2036": ("Vol le 15 août 2036", "Hôtel le 8 août 2036, chambre 15"),
    "1 maja 2037": ("Spotkanie 2037-05-01", "Spotkanie 2037-01-05"),
    "23.02.2038": ("Встреча 23 февраля 2038 года", "Встреча 2 февраля 2038, кабинет 23"),
    "12 mayis 2039": ("Randevu 12 Mayıs 2039", "Randevu 12 Mart 2039"),
    "14 March 2027": ("Hotel until 2027-03-14", "Hotel in 2027, 14 April"),
    "Oct 5": ("Inspection 2028-10-05", "Inspection 2028-05-10"),
    "2029/02/08": ("Exam on 8 Feb 2029", "Exam on 2 Aug 2029"),
    "3:45 pm": ("Train at 15:45 today", "Tram at 3:30pm today"),
    "6:30 pm": ("Yoga 18:30 weekly", "Tennis 6:15 pm weekly"),
    "19:20": ("Movie at 7:20 pm", "Dinner at 8:20 pm"),
    "15:00": ("Tea at 3pm", "Cake at 4pm"),
    "9 a.m.": ("Gym at 09:00", "Pool at 10:00"),
    "12:10 am": ("Taxi at 00:10", "Taxi at 12:20"),
    "Henry 8": ("Henry VIII had six wives", "Henry IV had two"),
    "chapter XIV": ("Chapter 14 is on whales", "Chapter 16 is on sharks"),
    "ACDC": ("AC/DC tickets", "DC tickets"),
    "tcpip": ("TCP/IP lessons", "IP lessons"),
    "8:40": ("Bus at 08:40 daily", "Ferry at 08:10 daily, berth 40"),
    "10:35": ("Réunion à 10h35", "Appel à 10h05, salle 35"),
    "22 h 15": ("Concert à 22:15", "Film à 22:45, salle 15"),
    "16:25": ("Gleis 3, 16.25 Uhr", "Gleis 25, 16.20 Uhr"),
    "kl. 13.50": ("Møde 13:50", "Møde 13:05, rum 50"),
    "17:00": ("下午5点开会", "下午4点，5人"),
    "午後6時30分": ("映画は18:30から", "映画は18:20から6列30番"),
    "오전 11시": ("수업은 11:00", "수업은 12:00, 11명"),
    "on tuesday": ("Dentist Tue 14:30", "Dentist Thu 14:30"),
    "Sat": ("Picnic, Saturday 11 am", "Picnic, Sunday 11 am"),
}


def test_what_is_asked_in_one_notation_is_found_in_another(world: World) -> None:
    add_apart(world, [text for pair in RIVALS.values() for text in pair])
    for question, (right, wrong) in RIVALS.items():
        found = shares(world, question)
        assert found.get(wrong, 0) < found.get(right, 0), question


DATES = [
    "2026-13-09",
    "2026-03-32",
    "12026-03-09",
    "1-2026-03-09-7",
    "31.13.2026",
    "1.2.3.2026",
    "May 2026",
    "13月9日",
    "9日",
]
TIMES = ["25 pm", "13 pm", "3 amps", "24h30", "8 h 75", "下午3小时", "오후 3시간"]
NUMERALS = ["I am", "VIIII", "MIX", "XIII5"]
ABBREVIATIONS = ["and/or", "HE/SHE/IT", "/AC/DC"]


@pytest.mark.parametrize("text", [*DATES, *TIMES, *NUMERALS, *ABBREVIATIONS])
def test_what_only_looks_like_a_notation_has_no_other(text: str) -> None:
    assert others(text) == ""
