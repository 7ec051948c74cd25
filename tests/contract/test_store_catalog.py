"""The contract of who sees a problem: one rule for reads, lists, marks and submissions; tags, languages and groups."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deepoj.words.accounts import UserRole
from deepoj.words.groups import UserGroup
from deepoj.words.problems import Problem, ProblemChange, ProblemOrder, ProblemSearch, Visibility
from deepoj.words.results import Verdict
from deepoj.words.submissions import Receipt, SubmitRefusal
from tests.contract.labs import Lab, draft, new_problem, new_user, submit
from tests.contract.test_store_rejudges import finish

_D, _P, _L = Visibility.DRAFT, Visibility.PRIVATE, Visibility.LISTED
#: caller → the states in which he sees the problem
SEEN_BY: dict[str, set[Visibility]] = {
    "stranger": {_L},
    "other": {_L},
    "member": {_L, _P},
    "setter": {_L},
    "operator": {_L},
    "owner": {_L, _P, _D},
    "jury": {_L, _P, _D},
    "root": {_L, _P, _D},
}


class Scene:
    """Accounts of each kind, and a problem of the owner's with a group of the member's."""

    def __init__(self, lab: Lab, accounts: dict[str, int], problem: Problem) -> None:
        self.lab, self.accounts, self.problem = lab, accounts, problem

    async def becomes(self, visibility: Visibility) -> None:
        assert await self.lab.store.problems.update_problem(self.problem.id, ProblemChange(visibility=visibility))


@pytest.fixture
async def scene(lab: Lab) -> Scene:
    store, accounts = lab.store, {}
    for name in SEEN_BY:
        if name != "stranger":
            accounts[name] = await new_user(store, name)
    for role in UserRole:
        await store.accounts.change_rights(accounts[role.value], roles=[role], by=None)
    await store.accounts.change_rights(accounts["root"], is_admin=True, by=None)
    for name, members in (("Class 1", ["member"]), ("Class 2", ["other"])):
        group = await store.groups.create_group(name, by="root")
        assert isinstance(group, UserGroup)
        await store.groups.add_members(group.id, members, by="root")
    problem = replace(await new_problem(store), created_by=accounts["owner"])
    await store.problems.insert_problem(problem)
    await store.problems.set_problem_groups(problem.id, ["class 1"])
    return Scene(lab, accounts, problem)


@pytest.mark.parametrize("visibility", Visibility)
async def test_who_sees_a_problem_in_each_state(scene: Scene, visibility: Visibility) -> None:
    store, number = scene.lab.store, scene.problem.id
    job = await submit(store, draft(scene.accounts["owner"], number))
    assert isinstance(job, Receipt)
    await finish(scene.lab, job.job_id, Verdict.ACCEPTED)
    await scene.becomes(visibility)
    for caller, states in SEEN_BY.items():
        viewer, sees = scene.accounts.get(caller), visibility in states
        found = await store.problems.open_problem(number, viewer)
        assert (None if found is None else found.visibility) == (visibility if sees else None), caller
        for order in ProblemOrder:
            query = ProblemSearch(viewer=viewer, order=order)
            assert [one.id for one in await store.problems.find_problems(query, 0, 9)] == [number] * sees, caller
        titles = await store.problems.problem_titles([number, number, 10**15], viewer)
        assert titles == ({number: scene.problem.title} if sees else {}), caller
        owner = scene.accounts["owner"]
        solved = await store.marks.solved_problems(owner, 0, 9, viewer=viewer)
        assert (len(solved), await store.marks.count_solved(owner, viewer=viewer)) == (sees, sees), caller
        if viewer is not None:
            assert await store.problems.newest_titles(viewer, 9) == titles, caller
            answer = await submit(store, draft(viewer, number, f"// {visibility}"))
            assert isinstance(answer, Receipt) if sees else answer is SubmitRefusal.PROBLEM_NOT_FOUND, caller
    newest = [one.id for one in await store.problems.newest_problems(9)]
    assert newest == [number] * (visibility is Visibility.LISTED)
    assert [one.id for one in await store.problems.problems(0, 9)] == [number], "nodes and managers see all"


async def test_newest_titles_are_the_newest_first_and_no_more_than_asked_for(scene: Scene) -> None:
    problems, root = scene.lab.store.problems, scene.accounts["root"]
    later = [(await new_problem(scene.lab.store)).id for _ in range(2)]
    assert list(await problems.newest_titles(root, 9)) == [later[1], later[0], scene.problem.id]
    assert list(await problems.newest_titles(root, 2)) == [later[1], later[0]]


async def test_a_hidden_problem_is_no_place_in_the_list_by_title(scene: Scene) -> None:
    """A page after it would begin where its title stands, and so tell the title by and by."""
    problems, number = scene.lab.store.problems, scene.problem.id
    await scene.becomes(Visibility.DRAFT)
    await problems.update_problem(number, ProblemChange(title="m", difficulty="m"))
    listed = [(await new_problem(scene.lab.store)).id for _ in range(2)]
    for one, title in zip(listed, ("a", "z"), strict=True):
        await problems.update_problem(one, ProblemChange(title=title, difficulty=title))
    for caller, expected in (("stranger", listed), ("other", listed), ("owner", listed[1:])):
        for order in (ProblemOrder.TITLE, ProblemOrder.DIFFICULTY):
            query = ProblemSearch(viewer=scene.accounts.get(caller), order=order)
            assert [one.id for one in await problems.find_problems(query, number, 9)] == expected, caller


async def test_groups_of_a_problem_are_replaced_and_go_with_the_group(scene: Scene) -> None:
    problems, number = scene.lab.store.problems, scene.problem.id
    await scene.becomes(Visibility.PRIVATE)
    assert await problems.unknown_groups(["CLASS 2", "class 3"]) == {"class 3"}
    await problems.set_problem_groups(number, ["CLASS 2", "class 3"], by="root")
    assert await problems.problem_groups(number) == ["Class 2"]
    assert await problems.open_problem(number, scene.accounts["member"]) is None
    assert await problems.open_problem(number, scene.accounts["other"]) is not None
    (event, *_) = await scene.lab.store.admin_events.admin_events(9)
    assert (event.actor, event.subject, event.details["fields"]) == ("root", str(number), ["groups"])
    group = await scene.lab.store.groups.group_named("Class 2")
    assert group is not None
    await scene.lab.store.groups.remove_group(group.id, by="root")
    assert await problems.problem_groups(number) == []
    assert await problems.open_problem(number, scene.accounts["other"]) is None


async def test_tags_are_searched_beside_titles_and_are_no_new_version(lab: Lab) -> None:
    problems = lab.store.problems
    one, two = await new_problem(lab.store), await new_problem(lab.store)
    changed = await problems.update_problem(one.id, ProblemChange(tags=("dp", "two words")), by="root")
    assert changed is not None
    assert (changed.tags, changed.version) == (("dp", "two words"), one.version)
    await problems.update_problem(two.id, ProblemChange(title="Other", tags=("dp",)))
    assert await problems.update_problem(two.id, ProblemChange(title="Other")) == await problems.problem(two.id)

    async def search(tag: str, sought: str = "") -> list[int]:
        return [found.id for found in await problems.find_problems(ProblemSearch(tag=tag, search=sought), 0, 9)]

    assert await search("dp") == [one.id, two.id]
    assert await search("two words") == [one.id]
    assert await search("dp", "oth") == [two.id]
    assert await search("d") == []
    (event, *_) = [found for found in await lab.store.admin_events.admin_events(9) if found.subject == str(one.id)]
    assert event.details["fields"] == ["tags"]


async def test_a_problem_takes_the_languages_that_it_names(lab: Lab) -> None:
    user_id, problem = await new_user(lab.store), await new_problem(lab.store)
    first = await submit(lab.store, draft(user_id, problem.id, key="k"))
    assert isinstance(first, Receipt)
    await lab.store.problems.update_problem(problem.id, ProblemChange(languages=("python3", "c17")))
    cpp = draft(user_id, problem.id, "// other")
    assert await submit(lab.store, cpp) is SubmitRefusal.LANGUAGE_NOT_ALLOWED
    assert isinstance(await submit(lab.store, replace(cpp, language="c17")), Receipt)
    assert await submit(lab.store, draft(user_id, problem.id, key="k")) == Receipt(first.job_id, repeated=True)
    await lab.store.problems.update_problem(problem.id, ProblemChange(languages=()))
    assert isinstance(await submit(lab.store, cpp), Receipt)
