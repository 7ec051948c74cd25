"""From a submission back to the problem, and the judgings before the newest."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from deepoj.words.accounts import UserRole
from deepoj.words.rejudges import Rejudged
from deepoj.words.results import TestResult, Verdict
from tests.api.house import House, house
from tests.unit.makers import a_report
from tests.web.scene import add_submission
from tests.web.surfer import Surfer, member
from tests.web.test_profiles import judged

CODE = "\nint main() { return '<' < 2; } // </textarea>"


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


async def test_resubmit_opens_the_problem_with_the_source(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    job_id = await judged(alice, number, CODE)
    page = await alice.get(f"/submissions/{job_id}")
    link = f"/problems/{number}?from={job_id}"
    assert f'<a href="{link}#solve">Resubmit</a>' in page
    assert "Former judgings" not in page
    problem = await alice.get(link)
    assert f"\n{escape(CODE).replace('&#x27;', '&#39;')}</textarea>" in problem
    assert '<option value="cpp17" selected>' in problem


async def test_title_of_a_submission_begins_with_its_state(home: House) -> None:
    """Events change it on an open page: ``test_journey`` sees that in a browser."""
    alice, number = await member(home, "alice"), await home.problem()
    waiting = await alice.post(f"/problems/{number}", {"language": "cpp17", "code": "1", "stdin": ""})
    assert "<title>Queuing · A+B · Deep-OJ</title>" in await alice.get(waiting)
    ended = await judged(alice, number, "2")
    assert "<title>Accepted · A+B · Deep-OJ</title>" in await alice.get(f"/submissions/{ended}")


async def test_reason_of_the_first_failed_test_is_said_once_and_rounded_figures_are_explained(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    hidden = TestResult(name="1", status=Verdict.WRONG_ANSWER, reason="compare", checker_message="token 1: x", cpu_ms=9)
    report = replace(a_report(Verdict.WRONG_ANSWER), tests=(hidden,), explanation=({"rule": "compare", "test": "1"},))
    page = await alice.get(f"/submissions/{await add_submission(home, 'alice', number, report=report)}")
    assert "First failed test: 1. Its output differs" in page
    assert page.count("Its output differs") == 1
    assert "token 1" not in page
    assert "≤: times and memory of hidden tests" in page


async def test_a_submission_of_another_names_its_author(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    jury = await member(home, "jury")
    credentials = await home.ports.accounts.credentials("jury")
    assert credentials is not None
    await home.ports.accounts.change_rights(credentials.user.id, roles=[UserRole.JURY], by=None)
    path = f"/submissions/{await judged(alice, number, CODE)}"
    assert '<p class="limits"><bdi>alice</bdi> · C++17 (GCC)' in await jury.get(path)
    assert '<p class="limits">C++17 (GCC)' in await alice.get(path)


async def test_a_submission_whose_source_was_erased_says_so(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    jury = await member(home, "jury")
    ids = {}
    for name in ("alice", "jury"):
        credentials = await home.ports.accounts.credentials(name)
        assert credentials is not None
        ids[name] = credentials.user.id
    await home.ports.accounts.change_rights(ids["jury"], roles=[UserRole.JURY], by=None)
    path = f"/submissions/{await judged(alice, number, CODE)}"
    assert "was deleted" not in await jury.get(path)
    await home.store.erase(ids["alice"], by=None)
    assert await home.store.erase_sources(9) == 1
    page = await jury.get(path)
    assert "The source was deleted with the account of its author." in page
    assert "Resubmit" not in page


async def test_a_source_is_opened_for_its_author_alone(home: House) -> None:
    alice, bob, number = await member(home, "alice"), await member(home, "bob"), await home.problem()
    job_id = await judged(alice, number, CODE)
    for surfer, status in ((bob, 403), (Surfer(home), 200)):
        page = await surfer.get(f"/problems/{number}?from={job_id}", status=status)
        assert "A+B" in page
        assert "int main" not in page
    assert "A+B" in await alice.get(f"/problems/{number}?from=a%00b", status=404)


@pytest.mark.parametrize("code", ["a\nb\n", "a\nb"])
async def test_a_line_feed_at_the_end_begins_no_numbered_line(home: House, code: str) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    page = await alice.get(f"/submissions/{await judged(alice, number, code)}")
    assert '<pre class="numbers" aria-hidden="true">\n1\n2</pre>' in page


async def test_former_judgings_are_listed_with_their_verdicts(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    job_id = await judged(alice, number, CODE, Verdict.WRONG_ANSWER)
    opened = await home.store.rejudge(job_id, None, by="root", in_full=False, stream_key="s")
    assert isinstance(opened, Rejudged)
    page = await alice.get(f"/submissions/{job_id}")
    assert "Former judgings" in page
    assert '<li value="1"><span class="verdict wrong">' in page
    assert "Wrong Answer</span>" in page


async def test_a_waiting_submission_says_how_many_are_before_it(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    first, second = [
        (await alice.post(f"/problems/{number}", {"language": "cpp17", "code": code})).rpartition("/")[2]
        for code in "xy"
    ]
    assert "before yours" not in await alice.get(f"/submissions/{first}")
    assert "about 1 before yours" in await alice.get(f"/submissions/{second}")
    token = await home.token_of("alice")
    for job_id, before in ((first, 0), (second, 1)):
        answer = await home.ask("GET", f"/api/v1/submissions/{job_id}", token=token)
        assert (await answer.get_json())["before"] == before
