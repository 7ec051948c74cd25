"""What a password may be, and its hash: argon2id."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import argon2
import trio
from argon2.exceptions import InvalidHashError, VerificationError

from deepoj.words import Credentials

MAX_BYTES = 1024
MIN_CHARS = 6
#: logins that may wait for their hash, a school of 300 at once among them
_MAX_WAITING = 320


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
    """argon2id in threads, few at a time: a flood of logins must not take both cores from the judge.

    Those that wait take turns by their subjects (addresses): who sends many waits for his own.
    """

    def __init__(self, *, memory_kb: int = 19_456, time_cost: int = 2) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kb, parallelism=1)
        at_once = max(1, (os.cpu_count() or 1) // 2)
        self._limiter = trio.CapacityLimiter(at_once)
        self._turns = FairTurns(at_once, _MAX_WAITING)
        # what an unknown user's password is compared with: the same work, so the time tells nothing
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str, subject: str = "") -> str:
        """Raises TooManyWaiting."""
        async with self._turns.turn(subject):
            return await trio.to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def verify(self, account: Credentials | None, password: str, subject: str = "") -> bool:
        """Whether it is this account's password; as much work when there is no account. Raises
        TooManyWaiting."""
        # an account without a password is nobody's to log in to either, and takes as long
        hashed = (account.password_hash if account is not None else "") or self._nobody
        async with self._turns.turn(subject):
            matches = await trio.to_thread.run_sync(self._matches, hashed, password, limiter=self._limiter)
        return matches and account is not None and account.password_hash != ""

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):  # the latter: what was never a password's hash
            return False


class _Place:
    """One that waits."""

    def __init__(self) -> None:
        self.called = trio.Event()
        self.is_refused = False


class FairTurns:
    """``at_once`` at a time; subjects that wait go on by turns, each in the order in which its own came.

    Of ``max_waiting`` that wait, the newest of the subject that has most gives way to one of a subject that has fewer.
    """

    def __init__(self, at_once: int, max_waiting: float = inf) -> None:
        self._free, self._max_waiting = at_once, max_waiting
        self._waiting = 0
        #: in the order of their turns; no line is empty
        self._lines: OrderedDict[str, deque[_Place]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, subject: str) -> AsyncIterator[None]:
        """Raises TooManyWaiting."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(subject)
        try:
            yield
        finally:
            self._call_next()

    async def _wait(self, subject: str) -> None:
        if self._waiting >= self._max_waiting:
            self._make_way(subject)
        place = _Place()
        self._waiting += 1
        self._lines.setdefault(subject, deque()).append(place)
        try:
            await place.called.wait()
        except trio.Cancelled:
            if not place.called.is_set():
                self._leave(subject, place)
            elif not place.is_refused:
                self._call_next()
            raise
        if place.is_refused:
            raise TooManyWaiting(f"{self._max_waiting} passwords wait to be hashed")

    def _make_way(self, subject: str) -> None:
        longest = max(self._lines, key=lambda other: len(self._lines[other]))
        if len(self._lines[longest]) <= len(self._lines.get(subject, ())) + 1:
            raise TooManyWaiting(f"{self._max_waiting} passwords wait to be hashed")
        place = self._lines[longest][-1]
        self._leave(longest, place)
        place.is_refused = True
        place.called.set()

    def _call_next(self) -> None:
        if not self._lines:
            self._free += 1
            return
        subject, line = next(iter(self._lines.items()))
        self._lines.move_to_end(subject)
        place = line[0]
        self._leave(subject, place)
        place.called.set()

    def _leave(self, subject: str, place: _Place) -> None:
        self._lines[subject].remove(place)
        self._waiting -= 1
        if not self._lines[subject]:
            del self._lines[subject]
