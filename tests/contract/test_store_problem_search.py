"""The contract of ``ports.Problems.find_problems``."""

from __future__ import annotations

from deepoj.words.problems import Problem, ProblemChange, ProblemSearch
from tests.contract.labs import Lab, new_problem

TITLES = ("Sum of trees", "A+B", "100%_sure", "a tree", "100 sure", "back\\slash", "题目 A")


async def stored(lab: Lab) -> dict[str, Problem]:
    found = {}
    for title in TITLES:
        problem = await new_problem(lab.store)
        changed = await lab.store.problems.update_problem(problem.id, ProblemChange(title=title))
        assert changed is not None
        found[title] = changed
    return found


async def search(lab: Lab, sought: str, *, by_title: bool = False, number: int | None = None) -> list[str]:
    query = ProblemSearch(search=sought, number=number, by_title=by_title)
    return [one.title for one in await lab.store.problems.find_problems(query, 0, 99)]


async def test_a_search_takes_each_character_for_itself(lab: Lab) -> None:
    await stored(lab)
    assert await search(lab, "TREE") == ["Sum of trees", "a tree"]
    assert await search(lab, "%_") == ["100%_sure"]
    assert await search(lab, "k\\s") == ["back\\slash"]
    assert await search(lab, "题") == ["题目 A"]
    assert await search(lab, "a\0") == []
    assert await search(lab, "") == list(TITLES)


async def test_a_number_finds_its_problem_beside_titles(lab: Lab) -> None:
    problems = await stored(lab)
    assert await search(lab, "100", number=problems["A+B"].id) == ["A+B", "100%_sure", "100 sure"]
    assert await search(lab, "no title", number=10**17) == []


async def test_pages_by_title_go_on_after_a_problem(lab: Lab) -> None:
    await stored(lab)
    by_title = ProblemSearch(by_title=True)
    expected = sorted(TITLES, key=str.lower)
    assert await search(lab, "", by_title=True) == expected
    after, found = 0, []
    while page := await lab.store.problems.find_problems(by_title, after, 3):
        found += [one.title for one in page]
        after = page[-1].id
    assert found == expected
    assert [one.title for one in await lab.store.problems.find_problems(by_title, 10**15, 2)] == expected[:2]


async def test_pages_by_number_go_on_after_a_number(lab: Lab) -> None:
    problems = await stored(lab)
    page = await lab.store.problems.find_problems(ProblemSearch(search="a"), problems["A+B"].id, 2)
    assert [one.title for one in page] == ["a tree", "back\\slash"]
