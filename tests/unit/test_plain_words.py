"""Checks that no new tell-tale words of unclear prose come into the program's sources."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: words that usually replace the name of the thing that is meant
TELL_TALE = re.compile(
    r"\b(nobody|whoever|whatever|anew|thereof|such\s+a|the\s+like|for\s+ever|how\s+man(?:y-?e?th|ieth)|comes\s+to|stands\s+for)\b",
    re.IGNORECASE,
)
SUFFIXES = {".py", ".c", ".h", ".cpp", ".txt", ".md", ".html", ".css"}
#: texts of others, and texts for contestants
LEFT_OUT = ("deepoj/judging/testlib/",)
#: file → number of these words in it. The counts may only go down: lower them here when you remove a word, and never
#: raise them or add a file for new prose. Names (the user ``nobody``) may stay.
ALLOWED: Mapping[str, int] = {
    "deepoj/adapters/embedded/reach.py": 3,  # the user nobody
    "deepoj/judging/canaries/__init__.py": 1,  # output of a canary
    "deepoj/judging/canaries/programs/library.cpp": 1,  # the same
    "deepoj/operate/bench/rivals.py": 1,  # the user nobody
}


def tell_tales(root: Path) -> Counter[str]:
    """Count the tell-tale words of each source file under ``deepoj`` and ``sandbox_ext``."""
    counts: Counter[str] = Counter()
    for room in ("deepoj", "sandbox_ext"):
        for file in sorted((root / room).rglob("*")):
            name = file.relative_to(root).as_posix()
            if file.suffix in SUFFIXES and not name.startswith(LEFT_OUT):
                counts[name] = len(TELL_TALE.findall(file.read_text("utf-8", "replace")))
    return +counts


def complaints(counts: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """Return a sentence for each file whose count differs from the allowed one."""
    sentences = []
    for name in sorted(counts.keys() | allowed.keys()):
        count, limit = counts.get(name, 0), allowed.get(name, 0)
        if count > limit:
            sentences.append(f"{name}: {count} tell-tale words, allowed are {limit}: name the thing that is meant")
        elif count < limit:
            sentences.append(f"{name}: only {count} tell-tale words are left: lower its count in ALLOWED from {limit}")
    return sentences


def test_sources_use_no_tell_tale_words_beyond_the_allowed_ones() -> None:
    assert complaints(tell_tales(ROOT), ALLOWED) == []


@pytest.mark.parametrize(
    ("text", "allowed", "complaint"),
    [
        ("nobody calls", {}, "1 tell-tale words, allowed are 0"),
        ("Whoever asks,\nwhatever it is", {"deepoj/x.py": 1}, "2 tell-tale words, allowed are 1"),
        ("an empty name stands\nfor all; such\na name", {}, "2 tell-tale words, allowed are 0"),
        ("the last user leaves", {"deepoj/x.py": 1}, "lower its count in ALLOWED from 1"),
    ],
)
def test_complaints_about_a_changed_count(tmp_path: Path, text: str, allowed: dict[str, int], complaint: str) -> None:
    (tmp_path / "deepoj").mkdir()
    (tmp_path / "deepoj" / "x.py").write_text(text)
    (found,) = complaints(tell_tales(tmp_path), allowed)
    assert found.startswith("deepoj/x.py: ")
    assert complaint in found


def test_plain_text_gives_no_complaints(tmp_path: Path) -> None:
    (tmp_path / "sandbox_ext").mkdir()
    (tmp_path / "sandbox_ext" / "x.c").write_text("/* Kills all processes of the group. */")
    assert complaints(tell_tales(tmp_path), {}) == []
