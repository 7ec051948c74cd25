"""The contract of ``ports.Accounts``: rights, passwords, lists, GitHub."""

from __future__ import annotations

import pytest
import trio

from deepoj.words.accounts import Account, AccountRefusal, Credentials, NewAccount, RightsRefusal, User
from tests.contract.labs import (
    SOON_S,
    Lab,
    PgLab,
    holding,
    lose_first_answers,
    new_user,
    until_somebody_waits_for_a_lock,
)


async def an_admin(lab: Lab, name: str = "root") -> int:
    user = await lab.store.accounts.create_user(name, "hash", None, is_admin=True)
    assert isinstance(user, User)
    return user.id


async def credentials(lab: Lab, user_id: int) -> Credentials:
    found = await lab.store.accounts.credentials_by_id(user_id)
    assert found is not None
    return found


async def test_an_account_as_it_was_made(lab: Lab) -> None:
    user = await lab.store.accounts.create_user("Alice", "hash-1", "alice@example.com")
    assert isinstance(user, User)
    account = await lab.store.accounts.account(user.id)
    assert account is not None
    assert account == Account(
        user=user, github_id=None, avatar_url=None, has_password=True, password_is_temporary=False, is_disabled=False,
        created_at=account.created_at, updated_at=account.created_at,
    )  # fmt: skip
    assert account.created_at.endswith("+00:00")
    assert await lab.store.accounts.account(user.id + 1) is None


# -- passwords


async def test_a_temporary_password_is_one_until_its_owner_changes_it(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    assert await lab.store.accounts.set_password(user_id, "hash-2", temporary=True) == 1
    account = await lab.store.accounts.account(user_id)
    assert account is not None
    assert account.password_is_temporary
    assert await lab.store.accounts.change_password(user_id, "hash-3", epoch=1) == 2
    account = await lab.store.accounts.account(user_id)
    assert account is not None
    assert not account.password_is_temporary
    found = await credentials(lab, user_id)
    assert (found.password_hash, found.token_epoch) == ("hash-3", 2)


async def test_of_two_changes_of_one_epoch_one_stands(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    assert await lab.store.accounts.change_password(user_id, "hash-2", epoch=0) == 1
    assert await lab.store.accounts.change_password(user_id, "hash-3", epoch=0) is None
    assert (await credentials(lab, user_id)).password_hash == "hash-2"
    assert await lab.store.accounts.change_password(user_id + 1, "hash-3", epoch=0) is None


async def test_a_disabled_account_changes_no_password(lab: Lab) -> None:
    user_id = await new_user(lab.store)
    await lab.store.accounts.change_rights(user_id, is_disabled=True, by=await an_admin(lab))
    epoch = (await credentials(lab, user_id)).token_epoch
    assert await lab.store.accounts.change_password(user_id, "hash-2", epoch=epoch) is None


# -- rights


async def test_promoting_and_demoting(lab: Lab) -> None:
    root, user_id = await an_admin(lab), await new_user(lab.store)
    changed = await lab.store.accounts.change_rights(user_id, is_admin=True, by=root)
    assert isinstance(changed, Account)
    assert changed.user.is_admin
    assert (await credentials(lab, user_id)).user.is_admin
    changed = await lab.store.accounts.change_rights(root, is_admin=False, by=user_id)
    assert isinstance(changed, Account)
    assert not changed.user.is_admin
    assert (await credentials(lab, root)).token_epoch == 0, "a demoted person stays logged in"
    assert await lab.store.accounts.change_rights(user_id, is_admin=False, by=root) is RightsRefusal.NOT_ADMINISTRATOR


async def test_disabling_revokes_tokens_once_and_enabling_brings_none_back(lab: Lab) -> None:
    root, user_id = await an_admin(lab), await new_user(lab.store)
    for _ in range(2):
        changed = await lab.store.accounts.change_rights(user_id, is_disabled=True, by=root)
        assert isinstance(changed, Account)
        assert changed.is_disabled
    found = await credentials(lab, user_id)
    assert (found.is_disabled, found.token_epoch) == (True, 1)
    changed = await lab.store.accounts.change_rights(user_id, is_disabled=False, by=root)
    assert isinstance(changed, Account)
    assert not changed.is_disabled
    assert await credentials(lab, user_id) == Credentials(changed.user, "argon2id-hash", 1, is_disabled=False)


async def test_administrator_cannot_take_away_their_own_rights(lab: Lab) -> None:
    root, _ = await an_admin(lab), await an_admin(lab, "other")
    assert await lab.store.accounts.change_rights(root, is_admin=False, by=root) is RightsRefusal.OWN_ACCOUNT
    assert await lab.store.accounts.change_rights(root, is_disabled=True, by=root) is RightsRefusal.OWN_ACCOUNT
    assert isinstance(await lab.store.accounts.change_rights(root, is_admin=True, is_disabled=False, by=root), Account)


async def test_only_an_administrator_who_can_act_changes_rights(lab: Lab) -> None:
    root, user_id, other = await an_admin(lab), await new_user(lab.store), await an_admin(lab, "other")
    refused = RightsRefusal.NOT_ADMINISTRATOR
    assert await lab.store.accounts.change_rights(root, is_admin=False, by=user_id) is refused
    await lab.store.accounts.change_rights(other, is_disabled=True, by=root)
    assert await lab.store.accounts.change_rights(user_id, is_admin=True, by=other) is refused
    assert await lab.store.accounts.change_rights(user_id + 77, is_admin=True, by=root) is RightsRefusal.UNKNOWN_USER


async def test_last_administrator_cannot_be_disabled_or_demoted(lab: Lab) -> None:
    root, other = await an_admin(lab), await an_admin(lab, "other")
    assert isinstance(await lab.store.accounts.change_rights(other, is_disabled=True, by=None), Account)
    # the disabled one does not count
    assert await lab.store.accounts.change_rights(root, is_disabled=True, by=None) is RightsRefusal.LAST_ADMINISTRATOR
    assert await lab.store.accounts.change_rights(root, is_admin=False, by=None) is RightsRefusal.LAST_ADMINISTRATOR
    assert isinstance(await lab.store.accounts.change_rights(other, is_admin=False, by=None), Account)
    assert (await credentials(lab, root)).user.is_admin


async def test_two_administrators_who_demote_each_other_leave_one(lab: Lab) -> None:
    one, two = await an_admin(lab, "one"), await an_admin(lab, "two")
    answers: list[Account | RightsRefusal] = []

    async def demote(user_id: int, by: int) -> None:
        answers.append(await lab.store.accounts.change_rights(user_id, is_admin=False, by=by))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(demote, one, two)
        nursery.start_soon(demote, two, one)
    assert sorted(isinstance(answer, Account) for answer in answers) == [False, True]
    assert RightsRefusal.NOT_ADMINISTRATOR in answers
    left = [(await credentials(lab, user_id)).user.is_admin for user_id in (one, two)]
    assert sorted(left) == [False, True]


async def test_a_change_of_rights_waits_for_the_one_before_it(real: PgLab) -> None:
    """The interleaving that would leave no administrator: each reads the administrators before the other writes."""
    one, two = await an_admin(real, "one"), await an_admin(real, "two")
    answers: list[Account | RightsRefusal] = []
    hold = (
        "SELECT id FROM users WHERE is_admin AND NOT is_disabled ORDER BY id FOR NO KEY UPDATE; "
        f"UPDATE users SET is_admin = false WHERE id = {two}"
    )

    async def demote() -> None:
        answers.append(await real.store.accounts.change_rights(one, is_admin=False, by=two))

    with trio.fail_after(SOON_S):
        async with holding(real, hold) as end, trio.open_nursery() as nursery:
            nursery.start_soon(demote)
            await until_somebody_waits_for_a_lock(real)
            end("commit")
    assert answers == [RightsRefusal.NOT_ADMINISTRATOR]


# -- lists

NAMES = ("bob", "Alice", "alfred", "Al.ice", "Zoë", "al-2", "carol")


async def test_accounts_by_name_in_pages(lab: Lab) -> None:
    for name in NAMES:
        await new_user(lab.store, name)
    seen: list[str] = []
    while page := await lab.store.accounts.accounts(2, after=seen[-1] if seen else ""):
        seen += [account.user.username for account in page]
    assert seen == sorted(NAMES, key=str.lower)


async def test_accounts_whose_names_begin_so(lab: Lab) -> None:
    for name in NAMES:
        await new_user(lab.store, name)

    async def named(prefix: str, after: str = "") -> list[str]:
        return [account.user.username for account in await lab.store.accounts.accounts(50, prefix=prefix, after=after)]

    assert await named("AL") == ["al-2", "Al.ice", "alfred", "Alice"]
    assert await named("al", "Al.Ice") == ["alfred", "Alice"]
    assert await named("al%") == []
    assert await named("zoë") == ["Zoë"]
    assert await named("ghost") == []
    assert await named("a\0") == []


async def test_accounts_created_between_two_pages_are_listed_at_most_once(lab: Lab) -> None:
    for name in ("bbb", "ddd", "fff"):
        await new_user(lab.store, name)
    first = [account.user.username for account in await lab.store.accounts.accounts(2)]
    for name in ("aaa", "ccc", "eee"):
        await new_user(lab.store, name)
    rest = [account.user.username for account in await lab.store.accounts.accounts(50, after=first[-1])]
    assert first + rest == ["bbb", "ddd", "eee", "fff"]


# -- GitHub


async def test_an_account_from_github_is_found_by_its_number_alone(lab: Lab) -> None:
    local = await new_user(lab.store, "octocat")
    assert await lab.store.accounts.github_credentials("583231", "https://a/1") is None
    taken = await lab.store.accounts.create_github_user("OctoCat", "583231", "https://a/1")
    assert taken is AccountRefusal.USERNAME_TAKEN
    made = await lab.store.accounts.create_github_user("octocat-2", "583231", "https://a/1")
    assert isinstance(made, Credentials)
    assert made == Credentials(User(id=made.user.id, username="octocat-2", email=None, is_admin=False), "", 0)
    assert made.user.id != local
    assert await lab.store.accounts.github_credentials("583231", "https://a/2") == made
    account = await lab.store.accounts.account(made.user.id)
    assert account is not None
    assert (account.github_id, account.avatar_url, account.has_password) == ("583231", "https://a/2", False)
    # another name changes nothing: the number identifies the account
    assert await lab.store.accounts.create_github_user("elsewhere", "583231", None) == made
    assert await lab.store.accounts.credentials("elsewhere") is None


async def test_one_person_who_logs_in_twice_at_once_gets_one_account(lab: Lab) -> None:
    answers: list[Credentials | AccountRefusal] = []

    async def enter(name: str) -> None:
        while True:
            answer = await lab.store.accounts.create_github_user(name, "7", None)
            if isinstance(answer, Credentials):
                answers.append(answer)
                return

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            for n in range(4):
                nursery.start_soon(enter, f"name-{n}")
    assert len({answer.user.id for answer in answers if isinstance(answer, Credentials)}) == 1
    assert len(answers) == 4


async def test_a_state_is_spent_once_and_in_time(lab: Lab) -> None:
    now_s = await lab.store.accounts.database_time_s()
    assert await lab.store.accounts.spend_oauth_state(b"n" * 16, now_s + 60)
    assert not await lab.store.accounts.spend_oauth_state(b"n" * 16, now_s + 60)
    assert await lab.store.accounts.spend_oauth_state(b"m" * 16, now_s + 60)
    assert not await lab.store.accounts.spend_oauth_state(b"o" * 16, now_s - 1)


async def test_one_of_many_at_once_spends_a_state(lab: Lab) -> None:
    until_s = await lab.store.accounts.database_time_s() + 60
    spent: list[bool] = []

    async def spend() -> None:
        spent.append(await lab.store.accounts.spend_oauth_state(b"n" * 16, until_s))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(spend)
    assert sum(spent) == 1


async def test_spent_states_do_not_heap_up(real: PgLab) -> None:
    real.sql(
        "INSERT INTO oauth_states_spent SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), gen_random_uuid(), "
        "now() - interval '1 hour' FROM generate_series(1, 25) AS n"
    )
    until_s = await real.store.accounts.database_time_s() + 60
    for n in range(3):
        assert await real.store.accounts.spend_oauth_state(bytes([255, n]), until_s)
    assert real.sql("SELECT count(*) FROM oauth_states_spent") == "3"


# -- creating many


async def names(lab: Lab) -> list[str]:
    return [account.user.username for account in await lab.store.accounts.accounts(99)]


async def test_many_accounts_are_created_with_temporary_passwords(lab: Lab) -> None:
    accounts = lab.store.accounts
    assert (
        await accounts.create_users([NewAccount("Bob", "h1", "b@x"), NewAccount("王小明", "h2")], by="root")
        == frozenset()
    )
    bob, wang = await accounts.accounts(9)
    assert (bob.user.username, bob.user.email, bob.user.is_admin) == ("Bob", "b@x", False)
    assert (wang.user.username, wang.user.email) == ("王小明", None)
    assert all(one.password_is_temporary and one.has_password and not one.is_disabled for one in (bob, wang))
    found = await accounts.credentials("bob")
    assert found is not None
    assert found.password_hash == "h1"


async def test_a_taken_name_keeps_all_accounts_from_being_created(lab: Lab) -> None:
    accounts = lab.store.accounts
    await new_user(lab.store, "alice")
    assert await accounts.taken_names(["ALICE", "bob", "b\0b"]) == {"ALICE"}
    assert await accounts.create_users([NewAccount("bob", "h1"), NewAccount("ALICE", "h2")], by="root") == {"ALICE"}
    assert await names(lab) == ["alice"]
    assert await accounts.create_users([NewAccount("bob", "h1"), NewAccount("BOB", "h2")], by="root") != frozenset()
    assert await names(lab) == ["alice"]


async def test_accounts_whose_creation_was_not_answered_are_created_once(
    real: PgLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try's answer is lost after its commit: the second finds the accounts by their hashes."""
    lose_first_answers(real, monkeypatch)
    new = [NewAccount("bob", "h1"), NewAccount("carol", "h2")]
    assert await real.store.accounts.create_users(new, by="root") == frozenset()
    monkeypatch.undo()
    assert await names(real) == ["bob", "carol"]
    assert await real.store.accounts.create_users([NewAccount("bob", "h3")], by="root") == {"bob"}
