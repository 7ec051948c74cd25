"""Tokens that people make for programs: how they are listed and how they end."""

from __future__ import annotations

import datetime as dt

from deepoj.words.access_tokens import MAX_ACCESS_TOKENS
from deepoj.words.accounts import Credentials
from tests.contract.labs import Lab, new_user


async def owner(lab: Lab, *token_ids: str, name: str = "alice") -> Credentials:
    account = await lab.store.accounts.credentials_by_id(await new_user(lab.store, name))
    assert account is not None
    for token_id in token_ids:
        await lab.store.access_tokens.add_token(token_id, account, name=f"for {token_id}", expires_s=1000.0)
    return account


async def names(lab: Lab, account: Credentials) -> list[str]:
    return [one.name for one in await lab.store.access_tokens.tokens_of(account.user.id, 99)]


async def test_tokens_are_listed_and_ended_by_their_owner_alone(lab: Lab) -> None:
    tokens, alice = lab.store.access_tokens, await owner(lab, "a")
    lab.advance(10)
    await tokens.add_token("b", alice, name="\0 laptop", expires_s=1000.0)
    await tokens.add_token("b", alice, name="sent again", expires_s=1000.0)
    bob = await owner(lab, "c", name="bob")
    listed = await tokens.tokens_of(alice.user.id, 99)
    assert [(one.id, one.used_at) for one in listed] == [("b", None), ("a", None)]
    assert listed[1].name == "for a"
    assert listed[0].created_at < listed[0].expires_at
    assert await tokens.use_token(bob.user.id, "a") is False
    assert await tokens.end_token(bob.user.id, "a") is False
    assert await tokens.use_token(alice.user.id, "a") is True
    assert await tokens.end_token(alice.user.id, "a") is True
    assert await tokens.end_token(alice.user.id, "a") is False
    assert await tokens.use_token(alice.user.id, "a") is False
    assert await tokens.use_token(alice.user.id, "\0 \ud800") is False
    assert len(await tokens.tokens_of(alice.user.id, 99)) == 1
    assert await names(lab, bob) == ["for c"]


async def test_use_of_a_token_is_noted_once_a_minute(lab: Lab) -> None:
    tokens, alice = lab.store.access_tokens, await owner(lab, "a")
    gaps = []
    for seconds in (0, 50, 50):
        lab.advance(seconds)
        assert await tokens.use_token(alice.user.id, "a")
        [one] = await tokens.tokens_of(alice.user.id, 9)
        assert one.used_at is not None
        gaps.append(dt.datetime.fromisoformat(one.used_at) - dt.datetime.fromisoformat(one.created_at))
    assert [gap > dt.timedelta(seconds=40) for gap in gaps] == [False, False, True]


async def test_tokens_end_with_the_password_the_account_and_their_time(lab: Lab) -> None:
    tokens, alice = lab.store.access_tokens, await owner(lab, "a")
    await lab.store.accounts.set_password(alice.user.id, "new")
    assert await names(lab, alice) == []
    bob = await owner(lab, "b", name="bob")
    assert await lab.store.account_data.erase(bob.user.id, by=bob.user.id) == f"deleted-{bob.user.id}"
    assert await tokens.use_token(bob.user.id, "b") is False
    carol = await owner(lab, "c", name="carol")
    lab.advance(999)
    await tokens.add_token("d", carol, name="d", expires_s=1000.0)
    lab.advance(2)
    assert await names(lab, carol) == ["d"]
    assert await tokens.delete_ended_tokens(99) == 2, "alice's and carol's first"
    assert await tokens.delete_ended_tokens(99) == 0
    assert await tokens.use_token(carol.user.id, "d") is True


async def test_a_token_beyond_the_most_ends_the_oldest(lab: Lab) -> None:
    tokens, alice = lab.store.access_tokens, await owner(lab, "first")
    bob = await owner(lab, "other", name="bob")
    lab.advance(1)
    for number in range(MAX_ACCESS_TOKENS):
        await tokens.add_token(str(number), alice, name="x", expires_s=9.0)
    assert await tokens.use_token(alice.user.id, "first") is False
    assert len(await tokens.tokens_of(alice.user.id, 99)) == MAX_ACCESS_TOKENS
    assert await tokens.use_token(bob.user.id, "other") is True
