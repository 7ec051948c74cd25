"""The list of problems: search, order, pages and the visitor's marks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.judging.result import as_result
from deepoj.words.jobs import Claim
from deepoj.words.problems import ProblemChange
from tests.api.house import House, house
from tests.contract.labs import entry
from tests.unit.makers import a_report
from tests.web.surfer import Surfer, member

FORM = {"language": "cpp17", "code": "int main(){}", "stdin": ""}


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


async def titled(home: House, *titles: str) -> list[int]:
    """Store problems with these titles and return their numbers."""
    numbers = []
    for title in titles:
        number = await home.problem()
        problem = await home.ports.problems.problem(number)
        assert problem is not None
        await home.ports.problems.insert_problem(replace(problem, title=title))
        numbers.append(number)
    return numbers


def titles(page: str) -> list[str]:
    return re.findall(r'<td><a href="/problems/[0-9]+"><bdi>([^<]*)</bdi></a></td>', page)


async def test_a_search_finds_titles_and_numbers(home: House) -> None:
    _, second, _ = await titled(home, "Trees", "Two trees", "100% <b>")
    surfer = Surfer(home)
    assert titles(await surfer.get("/problems")) == ["Trees", "Two trees", "100% &lt;b&gt;"]
    assert titles(await surfer.get("/problems?search=TREE")) == ["Trees", "Two trees"]
    assert titles(await surfer.get("/problems?search=%25")) == ["100% &lt;b&gt;"]
    assert titles(await surfer.get(f"/problems?search={second}")) == ["Two trees"]
    nothing = await surfer.get('/problems?search=%22%3E%3Cscript%3E"')
    assert "No problem has this in its title" in nothing
    assert 'value="&#34;&gt;&lt;script&gt;&#34;"' in nothing
    assert titles(await surfer.get("/problems?search=a%00b")) == []
    assert f'value="{"x" * 200}"' in await surfer.get(f"/problems?search={'x' * 5000}")
    assert "No problem" in await surfer.get(f"/problems?search={'9' * 40}")


async def test_pages_keep_search_and_order(home: House) -> None:
    await titled(home, *(f"t & {99 - number}" for number in range(60)), "other")
    surfer = Surfer(home)
    first = await surfer.get("/problems?search=t+%26&sort=title")
    assert titles(first)[:2] == ["t &amp; 40", "t &amp; 41"]
    assert 'aria-sort="ascending"><a href="/problems?search=t%20%26&amp;sort=title">Title' in first
    after = re.search(r'<a href="([^"]*)" rel="next">', first)
    assert after is not None
    second = await surfer.get(after[1].replace("&amp;", "&"))
    assert titles(second) == [f"t &amp; {number}" for number in range(90, 100)]
    assert 'rel="next"' not in second
    by_number = await surfer.get("/problems?search=t+%26")
    assert titles(by_number)[0] == "t &amp; 99"
    await surfer.get("/problems?after=x", status=400)


async def test_solved_problems_have_the_visitors_mark(home: House) -> None:
    one, _ = await titled(home, "One", "Two")
    alice, bob = await member(home, "alice"), await member(home, "bob")
    job_id = (await alice.post(f"/problems/{one}", FORM)).rpartition("/")[2]
    (won,) = (await home.store.claim([entry(job_id)], "node-a", 60.0, 3)).values()
    assert isinstance(won, Claim)
    report = a_report()
    assert await home.store.finalize(won, report, as_result(won, report)) is None
    mark = f'<span class="sr">solved</span></span></td><td class="number">{one}</td>'
    assert mark in await alice.get("/problems")
    assert ">solved<" not in await bob.get("/problems")
    assert "olved" not in await Surfer(home).get("/problems")
    assert titles(await alice.get("/problems?unsolved=1")) == ["Two"]
    assert titles(await bob.get("/problems?unsolved=1")) == ["One", "Two"]
    assert titles(await Surfer(home).get("/problems?unsolved=1")) == ["One", "Two"], "a stranger has solved none"
    token = await home.token_of("alice")
    for path, found in (("?unsolved=true", ["Two"]), ("?unsolved", ["Two"]), ("?unsolved=false", ["One", "Two"])):
        answer = await home.ask("GET", f"/api/v1/problems{path}", token=token)
        assert [one["title"] for one in (await answer.get_json())["problems"]] == found


async def test_difficulties_are_filtered_and_sorted_on_the_page_and_over_the_api(home: House) -> None:
    numbers = await titled(home, *(f"t {number}" for number in range(60)))
    words = ("hard", "Easy", "", "1500", "900")
    for number, place in zip(numbers, range(60), strict=True):
        await home.ports.problems.update_problem(number, ProblemChange(difficulty=words[place % 5]))
    surfer = await member(home, "alice")
    first = await surfer.get("/problems?sort=difficulty&search=t&unsolved=1")
    assert titles(first)[::12] == ["t 4", "t 3", "t 1", "t 0", "t 2"]
    address = "/problems?search=t&amp;unsolved=1&amp;sort=difficulty"
    assert f'aria-sort="ascending"><a href="{address}">Difficulty' in first
    after = re.search(r'<a href="([^"]*)" rel="next">', first)
    assert after is not None
    assert after[1].startswith(f"{address}&amp;after=")
    assert titles(await surfer.get(after[1].replace("&amp;", "&"))) == [f"t {place}" for place in range(12, 60, 5)]
    easy = await surfer.get("/problems?difficulty=easy")
    assert (len(titles(easy)), titles(easy)[0]) == (12, "t 1")
    assert '<a href="/problems?difficulty=Easy"><bdi>Easy</bdi></a>' in easy
    assert "No problem matches these filters." in await surfer.get("/problems?difficulty=%22%3E%3Cb%3E")

    async def listed(query: str) -> list[str]:
        answer = await home.ask("GET", f"/api/v1/problems?limit=50&{query}")
        body = await answer.get_json()
        return [one["title"] for one in body["problems"]] if answer.status_code == 200 else [body["code"]]

    assert (await listed("sort=difficulty"))[::12] == ["t 4", "t 3", "t 1", "t 0", "t 2"]
    assert len(await listed("difficulty=EASY")) == 12
    assert await listed("sort=size") == ["INVALID_PARAM"]
