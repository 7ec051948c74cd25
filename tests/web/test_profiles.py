"""Profiles: who sees them, and what they show."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from deepoj.judging.result import as_result
from deepoj.web.pages.profiles import year_of
from deepoj.words.jobs import Claim
from deepoj.words.marks import ActiveDay
from deepoj.words.results import Verdict
from tests.api.house import House, house
from tests.contract.labs import entry
from tests.unit.makers import a_report
from tests.web.surfer import Surfer, member


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


async def judged(surfer: Surfer, number: int, code: str, verdict: Verdict = Verdict.ACCEPTED) -> str:
    """Submit to a problem and let a node judge it; return the job's id."""
    store = surfer.home.store
    fields = {"language": "cpp17", "code": code, "stdin": ""}
    job_id = (await surfer.post(f"/problems/{number}", fields)).rpartition("/")[2]
    (won,) = (await store.claim([entry(job_id)], "node-a", 60.0, 3)).values()
    assert isinstance(won, Claim)
    report = a_report(verdict)
    assert await store.finalize(won, report, as_result(won, report)) is None
    return job_id


async def test_a_profile_shows_solved_problems_verdicts_and_a_year(home: House) -> None:
    alice, number = await member(home, "alice"), await home.problem()
    await judged(alice, number, "1", Verdict.WRONG_ANSWER)
    await judged(alice, number, "2")
    page = await (await member(home, "bob")).get("/users/Alice")
    assert "<h1><bdi>alice</bdi></h1>" in page
    assert "Solved problems: 1" in page
    assert f'<td class="number">{number}</td><td><a href="/problems/{number}"><bdi>A+B</bdi></a></td>' in page
    assert "Submissions: 2 · active days: 1" in page
    assert re.search(r'<td class="shade-1" title="[0-9-]{10}: 2">', page)
    assert re.search(r"Wrong Answer</span></td><td class=\"number\">1</td>", page)
    assert 'href="/users/alice"' in await alice.get("/account")


async def test_profiles_are_for_people_who_are_logged_in(home: House) -> None:
    alice = await member(home, "alice", language="zh")
    answer = await home.ask("GET", "/users/alice")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/users/alice")
    for unknown in ("/users/carol", "/users/a%00b", "/users/%3Cb%3E"):
        assert "<title>账号不存在。 · Deep-OJ</title>" in await alice.get(unknown, status=404)
    page = await alice.get("/users/alice")
    for word in ("最近一年", "已通过的题目：0"):
        assert word in page
    assert "@" not in page


async def test_solved_problems_come_in_pages(home: House) -> None:
    alice = await member(home, "alice")
    numbers = [await home.problem() for _ in range(205)]
    await judged(alice, numbers[0], "1")
    for number in numbers:
        home.store.marks[1000, number] = home.store.marks[1000, numbers[0]]
    first = await alice.get("/users/alice")
    assert first.count('<td><a href="/problems/') == 200
    assert "Solved problems: 205" in first
    second = await alice.get(f"/users/alice?after={numbers[199]}")
    assert second.count('<td><a href="/problems/') == 5
    assert 'rel="next"' not in second


def test_a_year_ends_with_today_and_has_a_row_for_each_weekday() -> None:
    sunday = dt.date(2026, 11, 29)
    days = [ActiveDay(sunday, 1), ActiveDay(dt.date(2026, 11, 23), 7), ActiveDay(dt.date(2020, 1, 1), 9)]
    year = year_of(days, sunday)
    assert [len(row) for row in year] == [53] * 7
    assert (year[6][-1].day, year[6][-1].count, year[6][-1].shade) == (sunday, 1, 1)
    assert (year[0][-1].day, year[0][-1].shade) == (dt.date(2026, 11, 23), 3)
    assert sum(one.count for row in year for one in row) == 8
    monday = year_of([], dt.date(2026, 11, 23))
    assert [len(row) for row in monday] == [53, *[52] * 6]
