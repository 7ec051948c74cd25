"""Both runbooks are one: the same chapters, commands and rows, in two languages; every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.nodes import ROOT
from tests.e2e.runbook import CHINESE, ENGLISH, blocks, headings, rows, shown

README = ROOT / "README.md"


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and GitLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


def broken(path: Path) -> list[str]:
    """Links of a text that lead nowhere."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            found.append(target)
    return found


def test_both_have_the_same_chapters_and_commands() -> None:
    assert headings(CHINESE) == headings(ENGLISH)
    assert len(headings(ENGLISH)) > 30
    english, chinese = blocks(ENGLISH), blocks(CHINESE)
    assert [(one.section, one.kind, one.text, one.shows) for one in chinese] == [
        (one.section, one.kind, one.text, one.shows) for one in english
    ]
    assert len(rows(CHINESE)) == len(rows(ENGLISH))
    assert {len(row) for path in (ENGLISH, CHINESE) for row in rows(path)} == {4}


def test_the_figures_and_names_are_the_same() -> None:
    """Whatever is set as code, and every figure of the capacity chapter."""
    for pattern in (r"(?<!`)`([^`\n]+)`(?!`)", r"\d[\d,.]*\d"):
        words = []
        for path in (ENGLISH, CHINESE):
            text = path.read_text()
            body = text[text.index("\n## 5.") :]
            words.append(sorted(set(re.findall(pattern, re.sub(r"^```.*?^```$", "", body, flags=re.M | re.S)))))
        assert words[0] == words[1]


@pytest.mark.parametrize("path", [ENGLISH, CHINESE, README, ROOT / "deploy" / "README.md"], ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_a_link_to_nowhere_is_seen(tmp_path: Path) -> None:
    text = tmp_path / "text.md"
    text.write_text("# One thing\n[a](#one-thing) [b](#other) [c](text.md#one-thing) [d](gone.md)\n")
    assert broken(text) == ["#other", "gone.md"]


def test_every_answer_is_two_clicks_from_the_readme() -> None:
    """The list of questions, each with a link to the text that answers it."""
    text = README.read_text()
    part = text[text.index("## Where to find") :].split("\n## ")[0]
    for question, word in (
        ("run it", "make run"), ("test it", "make test"), ("add a language", "new language is a row"),
        ("add a problem", "problem import"), ("add a host", "deepoj-worker.service"),
        ("see why it is stuck", "Symptoms"),
    ):  # fmt: skip
        (line,) = [line for line in part.splitlines() if line.startswith(f"| {question} |")]
        targets = re.findall(r"\]\(([^)\s]+)\)", line)
        assert targets, question
        texts = [(README.parent / target.partition("#")[0]) if target[0] != "#" else README for target in targets]
        assert any(word in there.read_text() for there in texts if there.is_file()), question


def test_what_a_text_shows() -> None:
    assert shown("a … c", "x a bb c")
    assert shown("[1/3] (x)", "[1/3] (x) y")
    assert not shown("a … c", "a\nc")
    assert not shown("a.c", "abc")


#: what the seed's runbook names in its chapter 4, row by row, in the order of ours
SEEDS_WORDS = (
    ("Redis", "QUEUE_ERROR", "REDIS_PASSWORD"), ("PG_MAX_CONNS",), ("pending",), ("worker",), ("Time Limit Exceeded",),
    ("Memory Limit Exceeded",), ("launcher",), ("Output Limit Exceeded",), ("cgroup v2",), ("Prometheus",), ("NTP",),
    ("docker system prune",), ("objects",), ("401", "403", "METRICS_TOKEN"),
)  # fmt: skip


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_each_of_the_seeds_symptoms_has_its_row(path: Path) -> None:
    found = [" | ".join(row) for row in rows(path)]
    missing = [(row, word) for row, words in zip(found, SEEDS_WORDS, strict=False) for word in words if word not in row]
    assert missing == []
    assert len(found) >= len(SEEDS_WORDS)
