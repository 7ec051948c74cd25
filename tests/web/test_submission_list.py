"""The list of submissions: whose they are, filters, and figures as their author may see them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.words.results import Verdict
from tests.api.house import House
from tests.api.test_dlq import dies
from tests.unit.makers import a_report
from tests.web.clicking import Person, member, pages_house
from tests.web.scene import add_problem, add_submission


@pytest.fixture
async def scene(tmp_path: Path) -> tuple[House, Person, Person, int]:
    """A house, an administrator, a person, and a problem."""
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    owner, _ = await member(home, "owner")
    return home, admin, owner, await add_problem(home)


Scene = tuple[House, Person, Person, int]


async def test_list_of_an_administrator_without_own_submissions_shows_those_of_all(scene: Scene) -> None:
    home, admin, _, number = scene
    job_id = await add_submission(home, "owner", number)
    shown = await admin.get("/submissions")
    assert job_id in shown.text
    assert '<a href="/users/owner"><bdi>owner</bdi></a>' in shown.text
    none = await admin.get("/submissions?problem_id=&verdict=")
    assert "Only your own are searched. Show those of all users" in none.words
    assert job_id not in none.text
    own = await add_submission(home, "root", number)
    shown = await admin.get("/submissions")
    assert own in shown.text
    assert job_id not in shown.text


async def test_list_finds_submissions_without_a_verdict(scene: Scene) -> None:
    home, _, owner, number = scene
    done = await add_submission(home, "owner", number, report=a_report(Verdict.ACCEPTED))
    waiting = await add_submission(home, "owner", number, code="int main(){return 1;}")
    shown = await owner.get("/submissions?verdict=none")
    assert waiting in shown.text
    assert done not in shown.text
    assert '<option value="none" selected>' in shown.text


async def test_filters_tell_languages_that_no_node_has(scene: Scene) -> None:
    home, admin, _, number = scene
    home.live[0] = {"cpp17": ("14",)}
    page = (await admin.get("/submissions")).text
    installed, _, others = page.partition('<optgroup label="not installed here">')
    assert 'value="cpp17"' in installed
    assert 'value="rust"' in others
    page = (await admin.get(f"/manage/problems/{number}")).text
    installed, _, others = page.partition("not installed here:")
    assert 'name="language-cpp17"' in installed
    assert 'name="language-rust"' in others


async def test_list_shows_bounds_to_the_author_and_no_figures_of_a_compile_error(scene: Scene) -> None:
    home, admin, owner, number = scene
    report = a_report(Verdict.ACCEPTED)
    await add_submission(home, "owner", number, report=report)
    assert "C++17 (GCC) ≤ " in (await owner.get("/submissions")).words
    assert "≤" not in (await admin.get("/submissions?all=1")).words
    broken = replace(a_report(Verdict.COMPILE_ERROR), tests=())
    await add_submission(home, "owner", number, code="int", report=broken)
    assert "C++17 (GCC) – –" in (await owner.get("/submissions?verdict=Compile+Error")).words


async def test_problem_that_its_reader_does_not_see_has_no_link(scene: Scene) -> None:
    """Such as a draft of a contest, which is at the contest's address."""
    home, admin, owner, number = scene
    await add_submission(home, "owner", number)
    link = f'href="/problems/{number}"'
    assert link in (await owner.get("/submissions")).text
    await admin.get(f"/manage/problems/{number}")
    assert (await admin.post(f"/manage/problems/{number}", {"visibility": "draft"})).status == 303
    page = (await owner.get("/submissions")).text
    assert f'<td class="terms">{number}</td>' in page
    assert link not in page


async def test_page_of_a_dead_letter_says_whose_fault_it_is(scene: Scene) -> None:
    home, admin, owner, number = scene
    job_id = await add_submission(home, "owner", number)
    await dies(home, job_id)
    assert "which is not the program's fault" in (await owner.get(f"/submissions/{job_id}")).words
    assert "which is not the program's fault" not in (await admin.get(f"/submissions/{job_id}")).words, "an operator"
