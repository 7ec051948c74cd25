"""The contract of ``ports.Problems.find_problems``."""

from __future__ import annotations

import pytest

from deepoj.words.problems import Problem, ProblemChange, ProblemOrder, ProblemSearch
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt
from tests.contract.labs import Lab, draft, new_problem, new_user, submit
from tests.contract.test_store_rejudges import finish

TITLES = ("Sum of trees", "A+B", "100%_sure", "a tree", "100 sure", "back\\slash", "题目 A")


async def stored(lab: Lab) -> dict[str, Problem]:
    found = {}
    for title in TITLES:
        problem = await new_problem(lab.store)
        changed = await lab.store.problems.update_problem(problem.id, ProblemChange(title=title))
        assert changed is not None
        found[title] = changed
    return found


async def search(
    lab: Lab, sought: str, *, order: ProblemOrder = ProblemOrder.NUMBER, number: int | None = None
) -> list[str]:
    query = ProblemSearch(search=sought, number=number, order=order)
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
    by_title = ProblemSearch(order=ProblemOrder.TITLE)
    expected = sorted(TITLES, key=str.lower)
    assert await search(lab, "", order=ProblemOrder.TITLE) == expected
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


#: in their order
DIFFICULTIES = ("2", "10", "800", "Easy", "简单", "medium", "hard", "Insane", "x", "")


async def graded(lab: Lab) -> list[int]:
    """Store a problem of each difficulty, the last one first, and return their ids in the order of difficulties."""
    ids = []
    for difficulty in reversed(DIFFICULTIES):
        ids.append((await new_problem(lab.store)).id)
        await lab.store.problems.update_problem(ids[-1], ProblemChange(difficulty=difficulty))
    return ids[::-1]


async def test_pages_by_difficulty_go_on_after_a_problem(lab: Lab) -> None:
    ids, query = await graded(lab), ProblemSearch(order=ProblemOrder.DIFFICULTY)
    ids[3:5] = sorted(ids[3:5])
    after, found = 0, list[int]()
    while page := await lab.store.problems.find_problems(query, after, 3):
        found += [one.id for one in page]
        after = page[-1].id
    assert found == ids
    gone = await lab.store.problems.find_problems(query, 10**15, 2)
    assert [one.id for one in gone] == ids[:2]


@pytest.mark.parametrize("order", ProblemOrder)
async def test_difficulty_is_filtered_without_regard_to_case(lab: Lab, order: ProblemOrder) -> None:
    ids = await graded(lab)
    for word, place in (("EASY", 3), ("10", 1), ("insane", 7)):
        found = await lab.store.problems.find_problems(ProblemSearch(difficulty=word, order=order), 0, 9)
        assert [one.id for one in found] == [ids[place]]
    assert await lab.store.problems.find_problems(ProblemSearch(difficulty="e", order=order), 0, 9) == []


@pytest.mark.parametrize("order", ProblemOrder)
async def test_unsolved_problems_are_those_without_an_accepted_submission_of_the_viewer(
    lab: Lab, order: ProblemOrder
) -> None:
    ids = [(await new_problem(lab.store)).id for _ in range(3)]
    alice, bob = await new_user(lab.store, "alice"), await new_user(lab.store, "bob")
    for user, problem, verdict in (
        (alice, ids[0], Verdict.ACCEPTED), (alice, ids[1], Verdict.WRONG_ANSWER), (bob, ids[2], Verdict.ACCEPTED),
    ):  # fmt: skip
        job = await submit(lab.store, draft(user, problem))
        assert isinstance(job, Receipt)
        await finish(lab, job.job_id, verdict)

    async def unsolved(viewer: int | None, after: int = 0) -> list[int]:
        query = ProblemSearch(viewer=viewer, unsolved=True, order=order)
        return [one.id for one in await lab.store.problems.find_problems(query, after, 9)]

    assert (await unsolved(alice), await unsolved(bob), await unsolved(None)) == (ids[1:], ids[:2], ids)
    assert await unsolved(alice, ids[0]) == ids[1:], "a page goes on after a problem that was solved meanwhile"
