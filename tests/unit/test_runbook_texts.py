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


def part_of(path: Path, anchor: str) -> str:
    """What stands below that heading, down to the next of its rank or higher; without an anchor the whole text. Empty
    if it leads nowhere."""
    if not path.is_file():
        return ""
    lines = path.read_text().splitlines()
    if not anchor:
        return "\n".join(lines)
    found: list[str] = []
    rank = 0
    fenced = False
    for line in lines:
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#+) (.*)$", line)
        if heading and rank and len(heading[1]) <= rank:
            break
        if heading and not rank and slug(heading[2]) == anchor:
            rank = len(heading[1])
        if rank:
            found.append(line)
    return "\n".join(found)


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


@pytest.mark.parametrize(
    "path",
    [ENGLISH, CHINESE, *ROOT.glob("*.md"), ROOT / "deploy" / "README.md", *(ROOT / "deploy" / "docs").glob("*.md")],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_a_link_to_nowhere_is_seen(tmp_path: Path) -> None:
    text = tmp_path / "text.md"
    text.write_text("# One thing\n[a](#one-thing) [b](#other) [c](text.md#one-thing) [d](gone.md)\n")
    assert broken(text) == ["#other", "gone.md"]


#: what a newcomer asks, and what stands where the first click or the second lead
ANSWERS = (
    ("run it", ("make run", "docker compose -f deploy/compose.yaml up", "systemctl enable")),
    ("test it", ("make test", "pytest tests/unit")),
    ("add a language", ("languages/table.py", "make test-languages")),
    ("add a problem", ("deepoj problem import", "/api/v1/problems")),
    ("add a host", ("deepoj-worker.service", "user namespaces")),
    ("see why it is stuck", ("deepoj pressure", "/api/v1/ready", "No worker takes jobs")),
)


def clicks(path: Path, text: str) -> list[tuple[Path, str]]:
    """Where the links of a text of ``path`` lead: file and anchor."""
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]
    split = [target.partition("#") for target in targets]
    return [((path.parent / file).resolve() if file else path, anchor) for file, _, anchor in split]


@pytest.mark.parametrize(("question", "words"), ANSWERS, ids=[question for question, _ in ANSWERS])
def test_every_answer_is_two_clicks_from_the_readme(question: str, words: tuple[str, ...]) -> None:
    """Not only is the text there: the answer stands below the heading that the link names."""
    index = part_of(README, "where-to-go-next")
    (line,) = [line for line in index.splitlines() if line.startswith(f"| {question} |")]
    first = clicks(README, line)
    assert first, question
    texts = [(path, part_of(path, anchor)) for path, anchor in first]
    second = [target for path, text in texts if path.suffix == ".md" for target in clicks(path, text)]
    said = "\n".join([text for _, text in texts] + [part_of(path, anchor) for path, anchor in second])
    assert [word for word in words if word not in said] == []


def test_a_part_ends_at_the_next_heading(tmp_path: Path) -> None:
    text = tmp_path / "text.md"
    text.write_text("# A\n\n## One\n\n```\n# no heading\n```\n### Deeper\n\n## Two\nother\n")
    assert part_of(text, "one") == "## One\n\n```\n# no heading\n```\n### Deeper\n"
    assert part_of(text, "three") == ""
    assert clicks(text, "[a](#one) [b](x.md#y) [c](https://example.org)") == [(text, "one"), (tmp_path / "x.md", "y")]


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
