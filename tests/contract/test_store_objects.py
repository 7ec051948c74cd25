"""The contract of ``ports.Problems``: it lists exactly the objects that no problem names."""

from __future__ import annotations

from dataclasses import replace

from deepoj.words.problems import Problem, ProblemChange
from tests.contract.labs import Lab, new_problem


async def named(lab: Lab, key: str) -> Problem:
    made = replace(await new_problem(lab.store), data_path=key)
    await lab.store.problems.insert_problem(made)
    return made


async def loose(lab: Lab, keep_s: float = 50.0) -> list[str]:
    return [key for key in await lab.store.problems.loose_objects(keep_s, 100) if key.startswith("t/")]


async def test_stored_object_without_a_problem_is_loose(lab: Lab) -> None:
    await lab.store.problems.note_object("t/first")
    lab.advance(100)
    await lab.store.problems.note_object("t/second")
    assert await loose(lab) == ["t/first"]
    lab.advance(100)
    assert await loose(lab) == ["t/first", "t/second"]
    await lab.store.problems.note_object("t/first")
    assert await loose(lab) == ["t/second"], "somebody is storing it again"


async def test_object_of_a_problem_is_not_loose(lab: Lab) -> None:
    await lab.store.problems.note_object("t/1")
    await named(lab, "t/1")
    lab.advance(100)
    assert await loose(lab) == []


async def test_object_of_a_replaced_package_becomes_loose_later(lab: Lab) -> None:
    made = await named(lab, "t/old")
    await lab.store.problems.note_object("t/new")
    change = ProblemChange(data_path="t/new", data_hash="beef")
    for _ in range(2):  # twice is the same as once
        await lab.store.problems.update_problem(made.id, change)
    await lab.store.problems.update_problem(made.id, ProblemChange(title="x", time_limit_ms=77))
    assert await loose(lab) == [], "nodes may be fetching it"
    lab.advance(100)
    assert await loose(lab) == ["t/old"]
    await lab.store.problems.forget_objects(["t/old", "t/nothing"])
    assert await loose(lab) == []


async def test_an_object_of_the_same_package_that_came_again(lab: Lab) -> None:
    """The problem keeps its object."""
    made = await named(lab, "t/has")
    await lab.store.problems.note_object("t/again")
    found = await lab.store.problems.update_problem(
        made.id, ProblemChange(data_path="t/again", data_hash=made.data_hash)
    )
    assert found is not None
    assert found.data_path == "t/has"
    lab.advance(100)
    assert await loose(lab) == ["t/again"]


async def test_object_of_a_deleted_problem_is_loose(lab: Lab) -> None:
    made = await named(lab, "t/gone")
    assert await lab.store.problems.delete_problem(made.id) is None
    lab.advance(100)
    assert await loose(lab) == ["t/gone"]


async def test_object_of_two_problems_is_not_loose_after_deleting_one(lab: Lab) -> None:
    first, _second = await named(lab, "t/both"), await named(lab, "t/both")
    await lab.store.problems.delete_problem(first.id)
    lab.advance(100)
    assert await loose(lab) == []
