"""Sessions of browsers: how they end."""

from __future__ import annotations

from deepoj.words.accounts import Credentials
from deepoj.words.sessions import MAX_SESSIONS, SessionLimits
from tests.contract.labs import Lab, new_user

LIMITS = SessionLimits(idle_s=1000.0, max_age_s=5000.0)
ONE, OTHER = b"1" * 32, b"2" * 32


async def opened(lab: Lab, *digests: bytes, name: str = "alice") -> Credentials:
    user_id = await new_user(lab.store, name)
    account = await lab.store.accounts.credentials_by_id(user_id)
    assert account is not None
    for digest in digests:
        await lab.store.sessions.open_session(digest, account, client="Browser 1", address="192.0.2.7")
    return account


async def test_a_session_is_its_account(lab: Lab) -> None:
    account = await opened(lab, ONE)
    assert await lab.store.sessions.session(ONE, LIMITS) == account
    assert await lab.store.sessions.session(OTHER, LIMITS) is None


async def test_a_session_ends_when_it_is_idle_and_a_used_one_at_its_age(lab: Lab) -> None:
    sessions, account = lab.store.sessions, await opened(lab, ONE, OTHER)
    for _ in range(5):
        lab.advance(900)
        assert await sessions.session(ONE, LIMITS) == account, "it was seen 900 s ago"
    assert await sessions.session(OTHER, LIMITS) is None
    lab.advance(600)
    assert await sessions.session(ONE, LIMITS) is None


async def test_a_session_ends_with_the_epoch_and_with_the_account(lab: Lab) -> None:
    sessions, accounts = lab.store.sessions, lab.store.accounts
    account = await opened(lab, ONE)
    await accounts.set_password(account.user.id, "new")
    assert await sessions.session(ONE, LIMITS) is None
    assert await sessions.sessions_of(account.user.id, LIMITS, 9) == []
    other = await opened(lab, OTHER, name="bob")
    await accounts.change_rights(other.user.id, is_disabled=True, by=None)
    assert await sessions.session(OTHER, LIMITS) is None


async def test_sessions_are_listed_and_closed_by_their_owner_alone(lab: Lab) -> None:
    sessions, account = lab.store.sessions, await opened(lab, ONE, OTHER)
    stranger = await opened(lab, b"3" * 32, name="bob")
    lab.advance(100)
    await sessions.session(OTHER, LIMITS)
    listed = await sessions.sessions_of(account.user.id, LIMITS, 9)
    assert [(one.digest, one.client, one.address) for one in listed] == [
        (OTHER, "Browser 1", "192.0.2.7"),
        (ONE, "Browser 1", "192.0.2.7"),
    ]
    assert await sessions.close_session(stranger.user.id, ONE) is False
    assert await sessions.close_session(account.user.id, ONE) is True
    assert await sessions.session(ONE, LIMITS) is None
    await sessions.open_session(ONE, account, client="", address="")
    assert await sessions.close_other_sessions(account.user.id, OTHER) == 1
    assert [one.digest for one in await sessions.sessions_of(account.user.id, LIMITS, 9)] == [OTHER]
    assert await sessions.session(b"3" * 32, LIMITS) == stranger


async def test_rows_of_ended_sessions_are_deleted_and_no_others(lab: Lab) -> None:
    sessions = lab.store.sessions
    await opened(lab, ONE)
    lab.advance(1100)
    account = await opened(lab, OTHER, name="bob")
    assert await sessions.delete_ended_sessions(LIMITS, 9) == 1
    assert await sessions.delete_ended_sessions(LIMITS, 9) == 0
    assert await sessions.session(OTHER, LIMITS) == account


async def test_a_login_beyond_the_most_ends_the_session_seen_longest_ago(lab: Lab) -> None:
    sessions, account = lab.store.sessions, await opened(lab, ONE)
    stranger = await opened(lab, OTHER, name="bob")
    lab.advance(10)
    for number in range(MAX_SESSIONS):
        await sessions.open_session(b"%032d" % number, account, client="", address="")
    assert await sessions.session(ONE, LIMITS) is None
    assert len(await sessions.sessions_of(account.user.id, LIMITS, 99)) == MAX_SESSIONS
    assert await sessions.session(OTHER, LIMITS) == stranger
