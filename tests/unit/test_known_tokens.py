"""A token that was found right is not computed again, and yet runs out in time."""

from __future__ import annotations

import pytest

from deepoj.api.auth import Tokens
from deepoj.api.known_tokens import KnownTokens
from deepoj.words.accounts import Credentials, User

ALICE = Credentials(User(id=7, username="alice", email=None, is_admin=False), "hash", 3)


def test_the_second_time_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens("a secret of many bytes for a test", 60.0)
    token = tokens.issue(ALICE)
    first = tokens.read(token)
    assert first is not None
    assert (first.user_id, first.username, first.epoch) == (7, "alice", 3)
    monkeypatch.setattr("deepoj.api.auth.jwt.decode", lambda *_args, **_kwargs: pytest.fail("decoded again"))
    assert tokens.read(token) is first


def test_a_known_token_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownTokens[str]()
    now_s = 1_000.0
    monkeypatch.setattr("deepoj.api.known_tokens.time.time", lambda: now_s)
    known.keep("token", "alice", 1_001.0)
    assert known.get("token") == "alice"
    now_s = 1_001.0
    assert known.get("token") is None
    now_s = 1_000.0
    assert known.get("token") is None, "it is gone"


def test_forged_token_is_not_known() -> None:
    tokens = Tokens("a secret of many bytes for a test", 60.0)
    token = tokens.issue(ALICE)
    assert tokens.read(token) is not None
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    assert tokens.read(forged) is None
    assert tokens.read(forged) is None
    assert Tokens("another secret of many bytes there", 60.0).read(token) is None
    assert tokens.read("\ud800") is None


def test_the_longest_unused_goes_first() -> None:
    known = KnownTokens[int](2)
    known.keep("a", 1, 9e9)
    known.keep("b", 2, 9e9)
    assert known.get("a") == 1
    known.keep("c", 3, 9e9)
    assert [known.get(token) for token in "abc"] == [1, None, 3]
