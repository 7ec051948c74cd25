"""Which passwords are allowed, and their hash: argon2id."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf

import argon2
import trio
from argon2.exceptions import InvalidHashError, VerificationError

from deepoj.words.accounts import Credentials

MAX_BYTES = 1024
MIN_CHARS = 6
#: logins that may wait for their hash: enough for a school of 300 at once
_MAX_WAITING = 320


class TooManyWaiting(Exception):
    """Too many passwords wait to be hashed; this one was refused."""


def is_password(raw: str) -> bool:
    """Return whether ``raw`` is allowed as a password."""
    try:
        size_bytes = len(raw.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may hold
        return False
    return len(raw) >= MIN_CHARS and size_bytes <= MAX_BYTES


class Passwords:
    """argon2id in threads, few at a time: a flood of logins must not take both cores from the judge.

    Waiting logins take turns by their subjects (addresses): a flood from one address delays only that address.
    """

    def __init__(self, *, memory_kb: int = 19_456, time_cost: int = 2) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kb, parallelism=1)
        at_once = max(1, (os.cpu_count() or 1) // 2)
        self._limiter = trio.CapacityLimiter(at_once)
        self._turns = FairTurns(at_once, _MAX_WAITING)
        # an unknown user's password is compared with this hash: the same work, so the time reveals nothing
        self._dummy_hash = self._hasher.hash("no account has this password")

    async def hash(self, password: str, subject: str = "") -> str:
        """Return the hash of a password. Raises TooManyWaiting."""
        async with self._turns.turn(subject):
            return await trio.to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def verify(
        self,
        account: Credentials | None,
        password: str,
        subject: str = "",
        admit: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> bool:
        """Return whether it is this account's password. Takes as long without an account. Raises TooManyWaiting.

        ``admit``: is called when the hash's turn has come; what it raises saves the hash.
        """
        # nor can anyone log in to an account without a password, and this takes as long
        hashed = (account.password_hash if account is not None else "") or self._dummy_hash
        async with self._turns.turn(subject):
            await admit()
            matches = await trio.to_thread.run_sync(self._matches, hashed, password, limiter=self._limiter)
        return matches and account is not None and account.password_hash != ""

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):  # the latter: the stored text is no hash
            return False


class _QueuePlace:
    """A place in a subject's queue."""

    def __init__(self) -> None:
        self.called = trio.Event()
        self.is_refused = False


class FairTurns:
    """Admits ``at_once`` callers at a time; waiting subjects take turns, each in the order of its own callers.

    At ``max_waiting`` waiting callers, the newest of the subject with most is refused in favour of a subject with
    fewer.
    """

    def __init__(self, at_once: int, max_waiting: float = inf) -> None:
        self._free, self._max_waiting = at_once, max_waiting
        self._waiting = 0
        #: in the order of their turns; no queue is empty
        self._lines: OrderedDict[str, deque[_QueuePlace]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, subject: str) -> AsyncIterator[None]:
        """Wait for a turn; it ends with the block. Raises TooManyWaiting."""
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
        place = _QueuePlace()
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

    def _leave(self, subject: str, place: _QueuePlace) -> None:
        self._lines[subject].remove(place)
        self._waiting -= 1
        if not self._lines[subject]:
            del self._lines[subject]
