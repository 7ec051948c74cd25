"""The documents and runbooks: paths, links and commands in them exist, and their tables match the code."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import yaml

from deepoj.cli import COMMANDS
from deepoj.judging.canaries import CANARIES
from deepoj.judging.languages import LANGUAGES
from tests.e2e.runbook import CHINESE, ENGLISH, blocks, headings, rows

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "deploy" / "docs"
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = ROOT / "CHANGELOG.md"
#: container images, which look like paths
IMAGES = {"deepoj/node", "deepoj/worker"}
DOCUMENTS = (
    *sorted(ROOT.glob("*.md")), ROOT / "tests" / "FAULTS.md", ROOT / "deploy" / "README.md", ENGLISH, CHINESE,
    *sorted(DOCS.glob("*.md")),
)  # fmt: skip


def found(path: Path, pattern: str) -> list[str]:
    """All matches of a pattern in a document, in order."""
    return re.findall(pattern, path.read_text(), flags=re.MULTILINE)


# -- what documents name


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and GitLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def sections(path: Path) -> dict[str, str]:
    """Anchor → heading and text down to the next heading of the same rank or higher; "" → the whole text."""
    lines = path.read_text().splitlines()
    heads: list[tuple[int, int, str]] = []
    fenced = False
    for number, line in enumerate(lines):
        fenced ^= line.startswith("```")
        if not fenced and (heading := re.match(r"(#+) (.*)$", line)):
            heads.append((number, len(heading[1]), slug(heading[2])))
    texts = {"": "\n".join(lines)}
    for number, rank, anchor in heads:
        end = next((n for n, other, _ in heads if n > number and other <= rank), len(lines))
        texts.setdefault(anchor, "\n".join(lines[number:end]))
    return texts


def links(path: Path, text: str) -> list[tuple[Path, str]]:
    """File and anchor of each link to a file of ours in a text of ``path``."""
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")]
    split = [target.partition("#") for target in targets]
    return [((path.parent / file).resolve() if file else path, anchor) for file, _, anchor in split]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_and_links_of_a_document_lead_to_something(path: Path) -> None:
    named = set(found(path, r"`((?:deepoj|tests|deploy|sql|sandbox_ext)/[\w./@-]+)")) - IMAGES
    assert [name for name in named if not (ROOT / name).exists()] == []
    broken = [
        (file, anchor)
        for file, anchor in links(path, path.read_text())
        if not file.exists() or (anchor and anchor not in sections(file))
    ]
    assert broken == []


#: what a newcomer asks, and words of the answer
QUESTIONS = (
    ("run it", ("make run", "docker compose -f deploy/compose.yaml up", "systemctl enable")),
    ("test it", ("make test", "pytest tests/unit")),
    ("add a language", ("languages/table.py", "make test-languages")),
    ("add a problem", ("deepoj problem import", "/api/v1/problems")),
    ("add a host", ("deepoj-worker.service", "user namespaces")),
    ("see why it is stuck", ("deepoj pressure", "/api/v1/ready", "No worker takes jobs")),
)


@pytest.mark.parametrize(("question", "words"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_answer_is_two_clicks_from_the_readme(question: str, words: tuple[str, ...]) -> None:
    """The words are below the heading that the first link names, or below one that a link there names."""
    (row,) = [line for line in sections(README)["where-to-go-next"].splitlines() if line.startswith(f"| {question} |")]
    first = [(path, sections(path)[anchor]) for path, anchor in links(README, row) if path.is_file()]
    second = [link for path, text in first if path.suffix == ".md" for link in links(path, text)]
    texts = [text for _, text in first] + [sections(path)[anchor] for path, anchor in second if path.is_file()]
    assert [word for word in words if word not in "\n".join(texts)] == []


# -- tables that must match the code: what the document lists, what there is, and whether it may list more


def command_rows() -> str:
    return "\n".join(line for line in (DOCS / "commands.md").read_text().splitlines() if line.startswith("| `"))


TABLES: dict[str, tuple[Callable[[], Collection[object]], Callable[[], Collection[object]], bool]] = {
    "each migration once, in CHANGELOG": (
        lambda: sorted(found(CHANGELOG, r"^\| `(\d{3}_\w+\.sql)` \|")),
        lambda: sorted(path.name for path in (ROOT / "sql" / "migrations").glob("*.sql")),
        False,
    ),
    "languages.md": (
        lambda: found(DOCS / "languages.md", r"^\| `(\w+)` \| (.+?) \| (\d*) ?\|$"),
        lambda: [(key, language.name, str(language.id or "")) for key, language in LANGUAGES.items()],
        False,
    ),
    "number of canaries": (
        lambda: [found(DOCS / name, r"(\d+) (?:small )?programs w") for name in ("architecture.md", "decisions.md")],
        lambda: [[str(len(CANARIES))]] * 2,
        False,
    ),
    "each make target, in CONTRIBUTING": (
        lambda: found(CONTRIBUTING, r"make ([a-z-]+)"),
        lambda: found(ROOT / "Makefile", r"^([a-z-]+):.*## "),
        True,
    ),
    "each command, in commands.md": (
        lambda: re.findall(r"`(?:deepoj )?([a-z-]+)", command_rows()),
        lambda: COMMANDS,
        True,
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_table_of_a_document_is_that_of_the_code(table: str) -> None:
    listed, there, more_is_allowed = TABLES[table]
    assert there()
    if more_is_allowed:
        assert set(there()) - set(listed()) == set()
    else:
        assert listed() == there()


# -- form


def test_documents_stay_short() -> None:
    assert len(README.read_text().splitlines()) <= 120
    decisions = (DOCS / "decisions.md").read_text().split("\n### ")[1:]
    assert 12 <= len(decisions) <= 20
    assert [text.splitlines()[0] for text in decisions if len(text.strip().splitlines()) > 6] == []
    for text in decisions:
        assert all(f"\n{label}: " in text for label in ("Decision", "Reason", "Would change")), text
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^  make ([a-z-]+)", shown, re.MULTILINE)
    assert {"run", "demo", "build", "test", "lint"} <= set(targets)
    assert len(targets) <= 10


def test_glossary_defines_each_term_once() -> None:
    terms = found(DOCS / "glossary.md", r"\*\*([^*]+?)[.:]\*\*")
    assert len(terms) > 50
    assert sorted({term for term in terms if terms.count(term) > 1}) == []


def test_pre_commit_runs_make_lint_with_the_tools_of_the_build() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    (hook,) = repository["hooks"]
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    assert hook["entry"].split()[::2] == ["make", "lint"]


# -- the runbook in two languages


def test_both_runbooks_have_the_same_chapters_commands_and_figures() -> None:
    assert headings(CHINESE) == headings(ENGLISH)
    assert len(headings(ENGLISH)) > 30
    english, chinese = blocks(ENGLISH), blocks(CHINESE)
    assert [(one.section, one.kind, one.text, one.shows) for one in chinese] == [
        (one.section, one.kind, one.text, one.shows) for one in english
    ]
    assert len(rows(CHINESE)) == len(rows(ENGLISH))
    assert {len(row) for path in (ENGLISH, CHINESE) for row in rows(path)} == {4}
    for pattern in (r"(?<!`)`([^`\n]+)`(?!`)", r"\d[\d,.]*\d"):  # text set as code, and figures from chapter 5 on
        words = []
        for path in (ENGLISH, CHINESE):
            text = path.read_text()
            body = text[text.index("\n## 5.") :]
            words.append(sorted(set(re.findall(pattern, re.sub(r"^```.*?^```$", "", body, flags=re.M | re.S)))))
        assert words[0] == words[1]


#: words of each row that chapter 4 must have, in its order
SYMPTOMS = (
    ("Redis", "QUEUE_ERROR", "REDIS_PASSWORD"), ("PG_MAX_CONNS",), ("pending",), ("worker",), ("Time Limit Exceeded",),
    ("Memory Limit Exceeded",), ("launcher",), ("Output Limit Exceeded",), ("cgroup v2",), ("Prometheus",), ("NTP",),
    ("docker system prune",), ("objects",), ("401", "403", "METRICS_TOKEN"),
)  # fmt: skip


@pytest.mark.parametrize("path", [ENGLISH, CHINESE], ids=lambda path: path.name)
def test_symptoms_table_has_each_required_row(path: Path) -> None:
    lines = [" | ".join(row) for row in rows(path)]
    missing = [(row, word) for row, words in zip(lines, SYMPTOMS, strict=False) for word in words if word not in row]
    assert missing == []
    assert len(lines) >= len(SYMPTOMS)
