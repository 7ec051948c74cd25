"""README, CONTRIBUTING, CHANGELOG and ``deploy/docs``: what they name exists, and their tables match the code."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deepoj.cli import COMMANDS
from deepoj.judging.canaries import CANARIES
from deepoj.judging.languages import LANGUAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "deploy" / "docs"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCUMENTS = (ROOT / "README.md", CONTRIBUTING, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted(DOCS.glob("*.md")))


def section(path: Path, heading: str) -> str:
    """The text below a heading of the second rank."""
    return path.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def functions(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_paths_in_document_exist(path: Path) -> None:
    named = set(re.findall(r"`((?:deepoj|tests|deploy|sql|sandbox_ext)/[\w./-]+)", path.read_text()))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_readme_has_at_most_120_lines() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_fault_table_has_each_fault_and_names_tests_that_exist() -> None:
    rows = re.findall(r"^\| (\d+)\. [^|]+\| ([^|]+) \|$", section(CONTRIBUTING, "Faults that must not return"), re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 32))
    for number, cell in rows:
        tests = re.findall(r"`([\w/.]+)::(\w+)`", cell)
        assert tests, f"fault {number} names no test"
        assert [name for path, name in tests if name not in functions(ROOT / path)] == [], f"fault {number}"


def test_changelog_lists_every_migration_once() -> None:
    listed = re.findall(r"^\| `(\d{3}_\w+\.sql)` \|", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "sql" / "migrations").glob("*.sql"))


def test_languages_table_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\d*) ?\|$", (DOCS / "languages.md").read_text(), re.M)
    assert rows == [(key, language.name, str(language.id or "")) for key, language in LANGUAGES.items()]


@pytest.mark.parametrize("name", ["architecture.md", "decisions.md"])
def test_document_counts_the_canaries(name: str) -> None:
    assert re.findall(r"(\d+) (?:small )?programs w", (DOCS / name).read_text()) == [str(len(CANARIES))]


def test_decisions_are_12_to_20_of_at_most_6_lines() -> None:
    decisions = (DOCS / "decisions.md").read_text().split("\n### ")[1:]
    assert 12 <= len(decisions) <= 20
    assert [text.splitlines()[0] for text in decisions if len(text.strip().splitlines()) > 6] == []
    for text in decisions:
        assert all(f"\n{label}: " in text for label in ("Decision", "Reason", "Would change")), text


def test_glossary_defines_each_term_once() -> None:
    terms = re.findall(r"\*\*([^*]+?)[.:]\*\*", (DOCS / "glossary.md").read_text())
    assert len(terms) > 50
    assert sorted({term for term in terms if terms.count(term) > 1}) == []


def test_make_help_shows_at_most_ten_targets() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^  make ([a-z-]+)", shown, re.M)
    assert {"run", "demo", "build", "test", "lint"} <= set(targets)
    assert len(targets) <= 10


def test_contributing_names_every_make_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    assert targets - set(re.findall(r"make ([a-z-]+)", CONTRIBUTING.read_text())) == set()


def test_commands_document_names_every_command() -> None:
    rows = "\n".join(line for line in (DOCS / "commands.md").read_text().splitlines() if line.startswith("| `"))
    assert set(COMMANDS) - set(re.findall(r"`(?:deepoj )?([a-z]+)", rows)) == set()


def test_pre_commit_runs_make_lint_with_the_tools_of_the_build() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    (hook,) = repository["hooks"]
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    assert hook["entry"].split()[::2] == ["make", "lint"]
