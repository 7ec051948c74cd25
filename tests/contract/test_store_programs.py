"""The contract of ``ports.Problems``: results of compiling the programs in packages."""

from __future__ import annotations

from dataclasses import replace

from deepoj.words.problems import Problem, ProblemChange
from tests.contract.labs import Lab, new_problem


async def unchecked(lab: Lab, why: str = "no sandbox") -> Problem:
    made = replace(await new_problem(lab.store), unchecked=why)
    await lab.store.problems.insert_problem(made)
    return made


async def test_unchecked_problems_are_listed_by_pages(lab: Lab) -> None:
    made = [await unchecked(lab) for _ in range(3)]
    await new_problem(lab.store)
    start = made[0].id - 1
    assert await lab.store.problems.unchecked_problems(start, 2) == made[:2]
    assert await lab.store.problems.unchecked_problems(made[1].id, 10) == made[2:]
    assert await lab.store.problems.problem(made[0].id) == made[0]
    assert made[0] in await lab.store.problems.problems(start, 10)


async def test_vetting_result_is_stored_once_for_the_current_package_only(lab: Lab) -> None:
    made = await unchecked(lab)
    await lab.store.problems.tell_programs(made.id, "another", "not this one")
    await lab.store.problems.tell_programs(made.id + 99, made.data_hash, "unknown problem")
    assert await lab.store.problems.problem(made.id) == made
    await lab.store.problems.tell_programs(made.id, made.data_hash, "it does not compile")
    told = replace(made, unchecked=None, broken="it does not compile")
    assert await lab.store.problems.problem(made.id) == told
    await lab.store.problems.tell_programs(made.id, made.data_hash, None)
    assert await lab.store.problems.problem(made.id) == told
    assert made.id not in [one.id for one in await lab.store.problems.unchecked_problems(0, 100)]


async def test_a_new_package_brings_its_own_word(lab: Lab) -> None:
    made = await unchecked(lab)
    changed = await lab.store.problems.update_problem(made.id, ProblemChange(title="other"))
    assert changed == replace(made, title="other")
    again = ProblemChange(data_path=made.data_path, data_hash=made.data_hash)
    assert await lab.store.problems.update_problem(made.id, again) == replace(made, title="other", unchecked=None)
    new = ProblemChange(data_path="problems/2.zip", data_hash="beef", unchecked="busy")
    await lab.store.problems.update_problem(made.id, new)
    await lab.store.problems.tell_programs(made.id, "beef", "broken")
    found = await lab.store.problems.update_problem(made.id, ProblemChange(data_path="p", data_hash="cafe"))
    assert found is not None
    assert (found.unchecked, found.broken, found.version) == (None, None, made.version + 2)
