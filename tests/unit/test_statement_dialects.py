"""Peculiarities of the formats' sources: headings by language, environments, names without an argument, centres."""

from __future__ import annotations

import pytest

from deepoj.packages.statements import dialects


@pytest.mark.parametrize(("language", "heading"), [("en", "Input"), ("ru", "Входные данные"), ("zh-Hant", "输入")])
def test_headings_of_macros_are_in_the_language_of_the_statement(language: str, heading: str) -> None:
    made = dialects.with_headings("\\newcommand{\\InputFile}{\\subsection{@Input@}}\n", language, "")
    assert f"\\subsection{{{heading}}}" in made
    assert "@" not in made


def test_interaction_is_the_command_or_the_environment_that_the_statement_uses() -> None:
    command = dialects.with_headings("", "en", "\\Interaction\nTalk.")
    environment = dialects.with_headings("", "en", "\\begin{Interaction}Talk.\\end{Interaction}")
    assert command == "\\newcommand{\\Interaction}{\\subsection{Interaction}}\n"
    assert environment == "\\newenvironment{Interaction}{\\subsection{Interaction}}{}\n"


def test_bare_name_of_a_problem_is_left_out() -> None:
    source = "\\problemname\nText\\problemname{A} \\problemnames"
    assert dialects.without_bare_names(source) == "\nText\\problemname{A} \\problemnames"


def test_center_of_html_is_a_block_that_the_cleaner_knows() -> None:
    source = '<CENTER class="tex-graphics">a</CENTER><centered>'
    assert dialects.with_centers(source) == '<div class="center">a</div><centered>'
