"""Which files of a package are its statements, in which languages, under which titles."""

from __future__ import annotations

import pytest

from deepoj.packages.formats.statements import language_code
from tests.unit.packages.makers import Content, plan

CASE = {"1.in": "1\n", "1.out": "1\n"}
KATTIS = {"data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}
POLYGON = """<problem short-name="x"><names><name language="english" value="Sum"/>
<name language="russian" value="Сумма"/>
</names><statements>
<statement language="english" path="statements/.html/english/problem.html" type="text/html"/>
<statement language="english" path="statements/english/problem.tex" type="application/x-tex"/>
<statement language="russian" path="statements/russian/problem.tex" type="application/x-tex"/>
<statement language="french" path="statements/french/problem.tex" type="application/x-tex"/>
</statements><judging><testset name="tests"><test-count>1</test-count>
<input-path-pattern>tests/%02d</input-path-pattern>
<answer-path-pattern>tests/%02d.a</answer-path-pattern></testset></judging>
<assets><checker name="std::wcmp.cpp"/></assets></problem>"""


def found(files: Content) -> set[tuple[str, str, str, str]]:
    return {(one.language, one.kind, one.file, one.title) for one in plan(files).statements}


def test_own_statements_are_found_with_and_without_language() -> None:
    files = {**CASE, "statement.md": "", "statement.zh.md": "", "statement.pt-BR.md": "", "readme.md": ""}
    assert found(files) == {
        ("en", "md", "statement.md", ""),
        ("zh", "md", "statement.zh.md", ""),
        ("pt-BR", "md", "statement.pt-BR.md", ""),
    }


@pytest.mark.parametrize("folder", ["problem_statement", "statement"])
def test_kattis_statements_of_all_kinds_have_the_titles_of_the_configuration(folder: str) -> None:
    files = {
        **KATTIS,
        "problem.yaml": "name: {en: Sum, sv: Summa}\n",
        f"{folder}/problem.tex": "",
        f"{folder}/problem.sv.md": "",
        f"{folder}/problem.de.pdf": "",
        f"{folder}/figure.png": "",
    }
    assert found(files) == {
        ("en", "tex", f"{folder}/problem.tex", "Sum"),
        ("sv", "md", f"{folder}/problem.sv.md", "Summa"),
        ("de", "pdf", f"{folder}/problem.de.pdf", ""),
    }


def test_polygon_statements_have_codes_for_languages_and_their_titles() -> None:
    files = {
        "problem.xml": POLYGON,
        "tests/01": "1\n",
        "tests/01.a": "1\n",
        "statements/.html/english/problem.html": "",
        "statements/english/problem.tex": "",
        "statements/russian/problem.tex": "",
    }
    assert found(files) == {
        ("en", "html", "statements/.html/english/problem.html", "Sum"),
        ("en", "tex", "statements/english/problem.tex", "Sum"),
        ("ru", "tex", "statements/russian/problem.tex", "Сумма"),
    }


def test_dmoj_statements_are_markdown() -> None:
    files = {**CASE, "init.yml": "test_cases: [{in: 1.in, out: 1.out, points: 1}]", "statement.en.md": ""}
    assert found(files) == {("en", "md", "statement.en.md", "")}


def test_files_in_the_packages_folder_keep_their_archive_names() -> None:
    files = {
        f"folder/{name}": text for name, text in {**KATTIS, "problem.yaml": "", "statement/problem.md": ""}.items()
    }
    assert found(files) == {("en", "md", "folder/statement/problem.md", "")}


@pytest.mark.parametrize(
    ("name", "code"),
    [("english", "en"), ("Chinese", "zh"), ("pt_BR", "pt-BR"), ("zh-Hans", "zh-Hans"), ("elvish", "elvish"),
     ("", "en"), ("<b>", "en"), ("../x", "en")],
)  # fmt: skip
def test_languages_get_codes_that_fit_an_address(name: str, code: str) -> None:
    assert language_code(name) == code
