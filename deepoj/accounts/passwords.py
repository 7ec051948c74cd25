"""What a password may be, and its hash: argon2id."""

from __future__ import annotations

import os

import argon2
import trio
from argon2.exceptions import InvalidHashError, VerificationError

from deepoj.words import Credentials

MAX_BYTES = 1024
MIN_CHARS = 6
#: logins that may wait for their hash; more are turned away at once
_MAX_WAITING = 64


class TooManyWaiting(Exception):
    """Too many passwords wait to be hashed; nothing was done."""


def is_password(raw: str) -> bool:
    """Whether it can be one."""
    try:
        size_bytes = len(raw.encode())
    except UnicodeEncodeError:  # half a surrogate pair, as JSON may hold one
        return False
    return len(raw) >= MIN_CHARS and size_bytes <= MAX_BYTES


class Passwords:
    """argon2id in threads, few at a time: a flood of logins must not take both cores from the judge."""

    def __init__(self, *, memory_kb: int = 19_456, time_cost: int = 2) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kb, parallelism=1)
        self._limiter = trio.CapacityLimiter(max(1, (os.cpu_count() or 1) // 2))
        # what an unknown user's password is compared with: the same work, so the time tells nothing
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Raises TooManyWaiting."""
        self._turn_away()
        return await trio.to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def verify(self, account: Credentials | None, password: str) -> bool:
        """Whether it is this account's password; as much work when there is no account. Raises
        TooManyWaiting."""
        self._turn_away()
        # an account without a password is nobody's to log in to either, and takes as long
        hashed = (account.password_hash if account is not None else "") or self._nobody
        matches = await trio.to_thread.run_sync(self._matches, hashed, password, limiter=self._limiter)
        return matches and account is not None and account.password_hash != ""

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):  # the latter: what was never a password's hash
            return False

    def _turn_away(self) -> None:
        if self._limiter.statistics().tasks_waiting >= _MAX_WAITING:
            raise TooManyWaiting(f"{_MAX_WAITING} passwords wait to be hashed")
