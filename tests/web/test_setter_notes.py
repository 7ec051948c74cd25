"""The page of a problem tells its setter what contestants do not see, and what judges outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deepoj.web.shown import is_blank
from deepoj.words.statements import RENDERER_VERSION, StatementKind, StatementSet, StatementText
from tests.api.house import house, package
from tests.web.test_manage_problems import Desk, admin_of


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    """An administrator."""
    return await admin_of(house(tmp_path, has_pages=True))


@pytest.mark.parametrize(
    ("html", "blank"),
    [
        ("", True),
        ("<h2>Input</h2>\n<p> </p><h2 class='x'>Output</h2>", True),
        ("<h2>Input</h2><p>a</p>", False),
        ('<p><img src="a.png" alt=""></p>', False),
        ("<math><mi></mi></math>", False),
    ],
)
def test_statement_without_text_and_images_is_blank(html: str, blank: bool) -> None:
    assert is_blank(html) == blank


async def test_page_of_a_problem_says_what_contestants_do_not_see_of_its_statement(desk: Desk) -> None:
    home = desk.home
    number = await home.problem()
    path = f"/manage/problems/{number}"
    assert "contestants do not see" not in await desk.get(path)
    texts = (
        StatementText(language="en", title="A", kind=StatementKind.HTML, html="<h2>Input</h2>"),
        StatementText(language="zh", title="A", kind=StatementKind.HTML, html="<p>A.</p>"),
        StatementText(language="de", title="A", kind=StatementKind.HTML, html="<p></p>" * 2000),
    )
    found = StatementSet(texts=texts, notes=("en: the image a.png is missing.",))
    problem = await home.ports.problems.problem(number)
    assert problem is not None
    assert await home.ports.statements.keep_statements(number, problem.data_hash, found, renderer=RENDERER_VERSION)
    page = await desk.get(path)
    notes = re.findall("<li>(.*?)</li>", page.partition("contestants do not see")[2].partition("</ul>")[0])
    assert notes == ["en: the image a.png is missing.", "The statement in the language en has no text."]
    assert f'<a href="/problems/{number}">' in page


async def test_report_names_the_standard_checker_that_a_comparison_replaces(desk: Desk) -> None:
    xml = (
        '<problem><names><name language="english" value="Sum"/></names><judging><testset name="tests">'
        "<time-limit>1000</time-limit><memory-limit>67108864</memory-limit><test-count>1</test-count>"
        "<input-path-pattern>tests/%02d</input-path-pattern><answer-path-pattern>tests/%02d.a</answer-path-pattern>"
        '<tests><test method="manual"/></tests></testset></judging>'
        '<assets><checker name="std::wcmp.cpp"/></assets></problem>'
    )
    files = {"problem.xml": xml, "tests/01": "1\n", "tests/01.a": "1\n"}
    place = await desk.sent("/manage/problems", {"title": "Sum"}, file=package(files))
    page = await desk.get(place)
    assert "<dt>Checker</dt><dd><code>std::wcmp.cpp</code>: replaced by the comparison by tokens" in page
