"""Texts of one line: which characters they may have, and the order of names."""

from __future__ import annotations

import random

import pytest

from deepoj.accounts.names import clean_group_name, clean_username
from deepoj.accounts.teams import read_team_table
from deepoj.words.contests import EventType
from deepoj.words.names import is_line, is_text, name_key, printable_line

#: written right with joiners alone
JOINED = {
    "Persian": "ما می\u200cخواهیم برنده شویم",
    "a Persian word after a letter that does not join": "کار\u200cها",
    "an Arabic abbreviation of one letter": "١٤٤٥ ه\u200d",
    "Hindi": "क्\u200dष",
    "Bengali with the joiner before the sign": "র\u200d্য",
    "Malayalam at the end of a word": "അവര്\u200d",
    "Sinhala": "ශ්\u200dරී",
    "Kannada": "ರ\u200c್ಕ",
    "a family": "Team 👩\u200d👩\u200d👧",
    "with a skin tone": "👩🏽\u200d🚀",
    "a flag with a sign of shape": "🏳\ufe0f\u200d🌈",
}
REFUSED = {
    "joiner in Latin": "Red\u200dPandas",
    "non-joiner in Latin": "Red\u200cPandas",
    "joiner in Chinese": "张\u200d伟",
    "joiner in Cyrillic": "при\u200dвет",
    "alone": "\u200d",
    "two": "می\u200c\u200cخواهیم",
    "at the beginning": "\u200cمحمد",
    "non-joiner at the end": "محمد\u200c",
    "joiner beside a space": "Red \u200d Pandas",
    "emoji beside a letter": "a\u200d👧",
    "emoji before a letter": "👧\u200da",
    "override": "abc\u202etxt",
    "isolate": "\u2066abc\u2069",
    "right-to-left mark": "abc\u200f",
    "Arabic letter mark": "\u061cمحمد",
    "zero width space": "abc\u200bdef",
    "soft hyphen": "abc\u00addef",
    "tab": "a\tb",
    "line": "a\nb",
    "no character": "a\ud800",
}


@pytest.mark.parametrize("name", JOINED.values(), ids=JOINED.keys())
def test_line_with_joiners_that_letters_need_is_taken(name: str) -> None:
    assert is_line(name)
    assert printable_line(name, "?") == name
    assert clean_group_name(name) is not None
    objects, faults = _teams(f"t1,{name}")
    assert (objects, faults) == ([name], 0)


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED.keys())
def test_line_with_invisible_characters_that_nothing_needs_is_refused(name: str) -> None:
    assert not is_line(name)
    assert "?" in printable_line(name, "?")


def test_text_of_several_lines_may_have_breaks_and_tabs_only() -> None:
    assert is_text("می\u200cخواهیم\r\n\tb")
    assert not is_text("a\vb")
    assert not is_text("a\n\u200db")


@pytest.mark.parametrize("name", ["می\u200cخواهیم", "क्\u200dषक", "abc\u200d"])
def test_username_has_no_joiner(name: str) -> None:
    assert clean_username(name) is None


@pytest.mark.parametrize(
    "ordered",
    [
        ["t1", "t2", "t10", "t11", "t100"],
        ["stu006", "stu007", "stu096", "stu0100"],
        ["team ٢", "team 10", "team ١١"],
        ["alice", "Bob", "carol"],
        ["Eric", "Érica", "Ernst"],
        ["阿", "李", "王", "张"],
        ["stu1", "محمد", "张伟", "👩\u200d👧"],
        ["", "1", "a", "а"],
        ["9" * 5000, "1" + "0" * 5000],
    ],
)
def test_names_are_in_their_readers_order(ordered: list[str]) -> None:
    mixed = random.Random(7).sample(ordered, len(ordered))
    assert sorted(mixed, key=name_key) == ordered


def test_names_that_differ_in_case_accents_or_joiners_have_one_order() -> None:
    same = ["Erika", "erika", "Érika", "می\u200cخواهیم", "میخواهیم"]
    assert sorted(same, key=name_key) == sorted(set(same), key=name_key)


def _teams(text: str) -> tuple[list[str], int]:
    found = read_team_table(text, {EventType.GROUPS: {}, EventType.ORGANIZATIONS: {}})
    return [(one.data or {})["name"] for one in found.objects], len(found.faults)
