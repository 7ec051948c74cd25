"""The contracts of ``ports.Accounts`` and ``ports.Problems``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deepoj.words.accounts import AccountRefusal, Credentials, User
from tests.contract.labs import Lab, new_problem, new_user


async def test_an_account_is_found_again_by_name_and_id(lab: Lab) -> None:
    user = await lab.store.accounts.create_user("Alice", "hash-1", "alice@example.com")
    assert isinstance(user, User)
    assert user == User(id=user.id, username="Alice", email="alice@example.com", is_admin=False)
    expected = Credentials(user, "hash-1", 0)
    assert await lab.store.accounts.credentials("alice") == expected
    assert await lab.store.accounts.credentials_by_id(user.id) == expected
    assert await lab.store.accounts.credentials("bob") is None
    assert await lab.store.accounts.credentials_by_id(user.id + 1) is None


async def test_names_are_unique_without_regard_to_case(lab: Lab) -> None:
    first = await lab.store.accounts.create_user("Alice", "hash-1", None)
    assert await lab.store.accounts.create_user("aLICE", "hash-1", None) is AccountRefusal.USERNAME_TAKEN
    found = await lab.store.accounts.credentials("ALICE")
    assert found is not None
    assert found.user == first


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
async def test_a_name_that_cannot_be_stored_is_not_found(lab: Lab, name: str) -> None:
    assert await lab.store.accounts.credentials(name) is None
    assert await lab.store.accounts.promote(name, by="root") is None


async def test_a_new_password_opens_a_new_token_epoch(lab: Lab) -> None:
    user_id, other_id = await new_user(lab.store), await new_user(lab.store, "bob")
    assert await lab.store.accounts.set_password(user_id, "hash-2") == 1
    assert await lab.store.accounts.set_password(user_id, "hash-3") == 2
    found = await lab.store.accounts.credentials_by_id(user_id)
    assert found is not None
    assert (found.password_hash, found.token_epoch) == ("hash-3", 2)
    other = await lab.store.accounts.credentials_by_id(other_id)
    assert other is not None
    assert (other.password_hash, other.token_epoch) == ("argon2id-hash", 0)
    with pytest.raises(LookupError):
        await lab.store.accounts.set_password(other_id + 1, "hash-4")


async def test_promoting_makes_an_administrator_of_one_account(lab: Lab) -> None:
    await new_user(lab.store)
    await new_user(lab.store, "bob")
    promoted = await lab.store.accounts.promote("ALICE", by="root")
    assert promoted is not None
    assert (promoted.username, promoted.is_admin) == ("alice", True)
    found = await lab.store.accounts.credentials("bob")
    assert found is not None
    assert not found.user.is_admin
    assert await lab.store.accounts.promote("carol", by="root") is None


async def test_an_administrator_can_be_made_at_once(lab: Lab) -> None:
    user = await lab.store.accounts.create_user("root", "hash", None, is_admin=True)
    assert isinstance(user, User)
    assert user.is_admin


async def test_a_problem_comes_back_as_it_was_put(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    assert await lab.store.problems.problem(problem.id) == problem
    assert await lab.store.problems.problem(problem.id + 1) is None


async def test_reserved_ids_are_all_different(lab: Lab) -> None:
    ids = [await lab.store.problems.reserve_problem_id() for _ in range(5)]
    assert len(set(ids)) == 5
    assert all([await lab.store.problems.problem(one) is None for one in ids])


async def test_a_problem_put_again_under_its_id_is_the_new_one(lab: Lab) -> None:
    problem = await new_problem(lab.store)
    changed = replace(problem, title="A-B", time_limit_ms=2000, version=4)
    await lab.store.problems.insert_problem(changed)
    assert await lab.store.problems.problem(problem.id) == changed
