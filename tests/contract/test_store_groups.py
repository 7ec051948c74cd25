"""The contract of ``ports.Groups``, and the roles of accounts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deepoj.adapters.pg.sql_files import read_migrations, sql_root
from deepoj.words.accounts import Account, NewAccount, User, UserRole
from deepoj.words.admin_events import AdminAct
from deepoj.words.groups import GroupRefusal, UserGroup
from deepoj.words.problems import ProblemChange
from deepoj.words.submissions import SubmissionQuery
from tests.contract.labs import Lab, PgLab, draft, new_problem, new_user, send

BY = "root"


async def new_group(lab: Lab, name: str) -> UserGroup:
    group = await lab.store.groups.create_group(name, by=BY)
    assert isinstance(group, UserGroup)
    return group


async def acts(lab: Lab) -> list[tuple[str, str, object]]:
    """Return the log, oldest first: act, subject, details without ids."""
    events = reversed(await lab.store.admin_events.admin_events(99))
    without = ("group_id", "user_id")
    return [(one.act, one.subject, {k: v for k, v in one.details.items() if k not in without}) for one in events]


async def test_roles_are_read_with_the_account_and_logged_once(lab: Lab) -> None:
    accounts, user_id = lab.store.accounts, await new_user(lab.store)
    for _ in range(2):
        changed = await accounts.change_rights(
            user_id, roles=[UserRole.SETTER, UserRole.JURY, UserRole.JURY], by=None, operator=BY
        )
    assert isinstance(changed, Account)
    assert changed.user.roles == {UserRole.JURY, UserRole.SETTER}
    credentials = await accounts.credentials_by_id(user_id)
    assert credentials is not None
    assert credentials.user.roles == {UserRole.JURY, UserRole.SETTER}
    assert credentials.token_epoch == 0
    await accounts.change_rights(user_id, is_disabled=True, by=None, operator=BY)
    await accounts.change_rights(user_id, roles=(), by=None, operator=BY)
    account = await accounts.account(user_id)
    assert account is not None
    assert (account.user.roles, account.is_disabled) == (frozenset(), True)
    assert await acts(lab) == [
        (AdminAct.ROLES_CHANGED, "alice", {"roles": ["jury", "setter"]}),
        (AdminAct.DISABLED, "alice", {}),
        (AdminAct.ROLES_CHANGED, "alice", {"roles": []}),
    ]


async def test_names_of_groups_are_unique_without_regard_to_case(lab: Lab) -> None:
    groups = lab.store.groups
    spring, autumn = await new_group(lab, "Spring"), await new_group(lab, "autumn")
    assert await groups.create_group("SPRING", by=BY) is GroupRefusal.NAME_TAKEN
    assert await groups.rename_group(autumn.id, "sprinG", by=BY) is GroupRefusal.NAME_TAKEN
    assert await groups.rename_group(99_999, "other", by=BY) is GroupRefusal.UNKNOWN_GROUP
    for _ in range(2):
        renamed = await groups.rename_group(spring.id, "SPRING", by=BY)
    assert isinstance(renamed, UserGroup)
    assert renamed.name == "SPRING"
    assert await groups.group_named("spring") == renamed == await groups.group(spring.id)
    assert [one.name for one in await groups.groups(9)] == ["autumn", "SPRING"]
    assert [one.name for one in await groups.groups(9, after="Autumn")] == ["SPRING"]
    assert [one.name for one in await groups.groups(1)] == ["autumn"]
    assert await groups.remove_group(autumn.id, by=BY)
    assert not await groups.remove_group(autumn.id, by=BY)
    assert await groups.group(autumn.id) is None
    assert await acts(lab) == [
        (AdminAct.GROUP_CREATED, "Spring", {}),
        (AdminAct.GROUP_CREATED, "autumn", {}),
        (AdminAct.GROUP_RENAMED, "SPRING", {"former_name": "Spring"}),
        (AdminAct.GROUP_REMOVED, "autumn", {}),
    ]


async def test_members_go_in_by_name_all_or_none(lab: Lab) -> None:
    groups, accounts = lab.store.groups, lab.store.accounts
    group, other = await new_group(lab, "class"), await new_group(lab, "All")
    alice, bob = [await new_user(lab.store, name) for name in ("alice", "Bob")]
    assert await groups.add_members(group.id, ["alice", "nemo", "a\0b"], by=BY) == frozenset({"nemo", "a\0b"})
    assert await groups.add_members(99_999, ["alice"], by=BY) is GroupRefusal.UNKNOWN_GROUP
    assert await accounts.accounts(9, group_id=group.id) == []
    for _ in range(2):
        assert await groups.add_members(group.id, ["BOB", "alice", "bob"], by=BY) == frozenset()
    await groups.add_members(other.id, ["bob"], by=BY)
    assert [one.user.username for one in await accounts.accounts(9, group_id=group.id)] == ["alice", "Bob"]
    assert [one.user.username for one in await accounts.accounts(9, prefix="b", group_id=group.id)] == ["Bob"]
    assert await groups.groups_of([alice, bob, 1]) == {alice: ["class"], bob: ["All", "class"]}
    assert await groups.remove_member(group.id, alice, by=BY)
    assert not await groups.remove_member(group.id, alice, by=BY)
    changed = await groups.group(group.id)
    assert changed is not None
    assert changed.members == 1
    await groups.remove_group(other.id, by=BY)
    assert await groups.groups_of([alice, bob]) == {bob: ["class"]}
    assert (await acts(lab))[2:] == [
        (AdminAct.MEMBERS_ADDED, "class", {"usernames": ["alice", "Bob"]}),
        (AdminAct.MEMBERS_ADDED, "All", {"usernames": ["Bob"]}),
        (AdminAct.MEMBER_REMOVED, "class", {"username": "alice"}),
        (AdminAct.GROUP_REMOVED, "All", {}),
    ]


async def test_groups_of_an_account_and_of_a_problem_are_in_their_readers_order(lab: Lab) -> None:
    names = ["Class 2", "class 10", "Ébène", "Zug", "محمد", "阿", "张"]
    alice = await new_user(lab.store, "alice")
    for name in reversed(names):
        await lab.store.groups.add_members((await new_group(lab, name)).id, ["alice"], by=BY)
    assert await lab.store.groups.groups_of([alice]) == {alice: names}
    problem = await new_problem(lab.store)
    await lab.store.problems.set_problem_groups(problem.id, names[::-1], by=BY)
    assert await lab.store.problems.problem_groups(problem.id) == names


async def test_new_accounts_go_into_their_groups_which_are_made(lab: Lab) -> None:
    accounts, groups = lab.store.accounts, lab.store.groups
    await new_group(lab, "Class")
    people = [NewAccount("ann", "h", group="CLASS"), NewAccount("ben", "h", group="Team"), NewAccount("cat", "h")]
    assert await accounts.create_users([*people, NewAccount("ANN", "h")], by=BY)
    assert await groups.group_named("team") is None
    assert await accounts.create_users([*people, NewAccount("dan", "h", group="team")], by=BY) == frozenset()
    assert [(one.name, one.members) for one in await groups.groups(9)] == [("Class", 1), ("Team", 2)]
    team = await groups.group_named("team")
    assert team is not None
    assert [one.user.username for one in await accounts.accounts(9, group_id=team.id)] == ["ben", "dan"]
    log = await acts(lab)
    assert log[0] == (AdminAct.GROUP_CREATED, "Class", {})
    assert log[5:] == [
        (AdminAct.GROUP_CREATED, "Team", {}),
        (AdminAct.MEMBERS_ADDED, "Class", {"usernames": ["ann"]}),
        (AdminAct.MEMBERS_ADDED, "Team", {"usernames": ["ben", "dan"]}),
    ]


async def test_submissions_are_listed_by_group(lab: Lab) -> None:
    problem, group = await new_problem(lab.store), await new_group(lab, "class")
    jobs = {name: await send(lab.store, draft(await new_user(lab.store, name), problem.id)) for name in ("ann", "ben")}
    await lab.store.groups.add_members(group.id, ["ben"], by=BY)
    for query in (SubmissionQuery(group_id=group.id), SubmissionQuery(problem_id=problem.id, group_id=group.id)):
        found = await lab.store.lists.submissions(query, 9)
        assert ([item.job_id for item in found.items], found.next) == ([jobs["ben"]], None)
    assert (await lab.store.lists.submissions(SubmissionQuery(group_id=group.id + 1), 9)).items == ()


async def test_a_problem_keeps_who_made_it(lab: Lab) -> None:
    problems, user_id = lab.store.problems, await new_user(lab.store)
    problem = replace(await new_problem(lab.store), created_by=user_id)
    await problems.insert_problem(problem)
    assert await problems.problem(problem.id) == problem
    changed = await problems.update_problem(problem.id, ProblemChange(title="x"))
    assert changed is not None
    assert changed.created_by == user_id
    assert await problems.problems_of(user_id, 0, 9) == [changed]
    assert await problems.problems_of(user_id, problem.id, 9) == []
    assert await problems.problems_of(user_id + 1, 0, 9) == []


async def test_the_rollback_takes_roles_and_groups_from_a_filled_database(real: PgLab) -> None:
    user_id, group = await new_user(real.store), await new_group(real, "class")
    await real.store.groups.add_members(group.id, ["alice"], by=BY)
    await real.store.accounts.change_rights(user_id, roles=[UserRole.JURY], by=None)
    with pytest.raises(RuntimeError, match="users_roles_known"):
        real.sql("UPDATE users SET roles = '{jury,chief}'")
    real.sql("DELETE FROM users")
    assert real.sql("SELECT count(*) FROM group_members") == "0"
    assert isinstance(await real.store.accounts.create_user("alice", "h", None), User)
    real.sql("UPDATE users SET roles = '{setter}'")
    migrations = read_migrations(sql_root())
    first = next(place for place, one in enumerate(migrations) if one.name == "add_roles_and_groups")
    since = migrations[first:]  # later ones build on it
    for migration in reversed(since):
        real.sql(migration.rollback_sql)
    assert real.sql("SELECT username FROM users") == "alice"
    for migration in since:
        real.sql(migration.sql)
    assert real.sql("SELECT roles, (SELECT count(*) FROM groups) FROM users") == "{}|0"
