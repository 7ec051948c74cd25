"""Peculiarities of the formats' sources: headings by language, environments, names without an argument, centres."""

from __future__ import annotations

import time

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


@pytest.mark.parametrize(
    ("source", "closed"),
    [
        ("<table><tr><td>a<td>b<tr><th>c</table>d",
         "<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>d"),
        ("<TABLE><thead><tr><th>a<tbody><tr><td>b</TABLE>",
         "<TABLE><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></TABLE>"),
        ("<table><tr><td><table><tr><td>in</table>out<td>b</table>",
         "<table><tr><td><table><tr><td>in</td></tr></table>out</td><td>b</td></tr></table>"),
        ("<table><tr><td>never closed", "<table><tr><td>never closed</td></tr></table>"),
        ("a</td></table>b<tdx><td", "a</td></table>b<tdx><td"),
        ("<tr><td>a<!-- <td> -->b<td>c</tr>", "<tr><td>a<!-- </td><td> -->b</td><td>c</td></tr>"),
        ("<table>" * 200 + "<td>", "<table>" * 200 + "<td>"),
        ("<table>\n<tr class=a>\n<td>1</td>\n</tr></table>", "<table>\n<tr class=a>\n<td>1</td>\n</tr></table>"),
    ],
)  # fmt: skip
def test_cells_that_are_left_open_are_closed(source: str, closed: str) -> None:
    assert dialects.with_closed_cells(source) == closed


@pytest.mark.measured
def test_closing_cells_costs_as_much_in_deep_tables_as_outside_of_tables() -> None:
    """A million bytes of tags in 99 tables took seconds, in which the process did nothing else."""

    def cpu_s(head: str) -> float:
        began = time.process_time()
        dialects.with_closed_cells(head + "</td>" * 100_000)
        return time.process_time() - began

    assert min(cpu_s("<table>" * 99) for _ in range(3)) < 3 * min(cpu_s("") for _ in range(3))
