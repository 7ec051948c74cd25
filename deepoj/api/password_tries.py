"""How often passwords may be tried, so that guessing stays slow and no stranger keeps an owner out.

Only what fails is counted, by three subjects: the account, the address, and both together. Nobody who tries the right
password from an address of his own ever meets another's failures:

* an account and address that have failed ``_OF_BOTH`` times in a window try on one after the other, ``_BOTH_PACE_S``
  apart: who knows the password gets in among those who guess it from beside him;
* an account that has reached its limit of failures, counted over all addresses, is open only to addresses that have
  failed at it fewer than ``_FIRST`` times within the hour, or succeeded within ``_KNOWN_WINDOW_S``: a neighbour who
  guesses at the owner's own address does not help strangers elsewhere to keep the owner out;
* an address that has reached its limit of failures, counted over all accounts, may try once in ``_ADDRESS_PACE_S``.

So an address guesses a password 70 times a minute at most, and all of them together as often as the account's limit
says, and three times an hour each. More than wait in a line are answered 429.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from deepoj.api.errors import ApiError, Refused
from deepoj.api.settings import RateLimit
from deepoj.observe import Metrics
from deepoj.ports.limits import Counters
from deepoj.words.limits import Quota

_OF_BOTH, _BOTH_PACE_S = 10, 1.0
_FIRST, _FIRST_WINDOW_S = 3, 3600.0
_ADDRESS_PACE_S = 0.2
_KNOWN_WINDOW_S = 30 * 86_400.0
#: that wait for their turn, of one subject and of all
_IN_LINE, _IN_LINES = 8, 64
#: refusals that say nothing of the password
_NO_FAILURES = frozenset({ApiError.TOO_MANY_REQUESTS, ApiError.TOO_MANY_LOGINS, ApiError.ACCOUNT_DISABLED})
_WRONG = frozenset({ApiError.BAD_CREDENTIALS, ApiError.WRONG_OLD_PASSWORD})


class PasswordTry:
    """One request that brings a password."""

    def __init__(self, tries: PasswordTries, address: str) -> None:
        self._tries, self._address = tries, address
        #: what a failure counts against, and what a success marks
        self.of_account: list[Quota] = []
        self.known: list[Quota] = []

    async def begin(self, account: str) -> None:
        """Waits until the password of ``account`` may be tried; Refused (429) if that is not soon."""
        self.of_account, self.known = await self._tries.begin(account, self._address)


class PasswordTries:
    """Everybody's tries. A limit of 0 lifts what is counted by it."""

    def __init__(self, counters: Counters, limit: RateLimit, metrics: Metrics) -> None:
        self._counters, self._limit, self._metrics = counters, limit, metrics
        self._lines = _SubjectQueues()

    @asynccontextmanager
    async def one(self, address: str) -> AsyncIterator[PasswordTry]:
        """Encloses the whole request. A refusal in it counts as a failure of ``address``, and of the account if the
        password was wrong."""
        of_address = [self._quota("ip", address, self._limit.ip_limit)] if self._limit.ip_limit else []
        if any(await self._counters.waits(of_address)):
            await self._take_turn("address", address, _ADDRESS_PACE_S)
        tried = PasswordTry(self, address)
        try:
            yield tried
        except Refused as refused:
            if refused.api_error not in _NO_FAILURES:
                for quota in (*of_address, *(tried.of_account if refused.api_error in _WRONG else ())):
                    await self._counters.take([quota])  # by itself: one that is used up must not keep the others
            raise
        if tried.known:
            await self._counters.take(tried.known)

    async def begin(self, account: str, address: str) -> tuple[list[Quota], list[Quota]]:
        """See ``PasswordTry.begin``. What a failure counts against, and what a success marks."""
        most = self._limit.user_limit
        if not most:
            return [], []
        both = f"{account}:{address}"
        quotas = [
            self._quota("user", account, most),
            self._quota("first", both, min(_FIRST, most), _FIRST_WINDOW_S),
            self._quota("both", both, min(_OF_BOTH, most)),
        ]
        known = [self._quota("known", both, 1, _KNOWN_WINDOW_S)]
        account_ms, first_ms, both_ms, known_ms = await self._counters.waits([*quotas, *known])
        if account_ms and first_ms and not known_ms:
            self._refuse("account", min(account_ms, first_ms) / 1000)
        if both_ms:
            await self._take_turn("both", both, _BOTH_PACE_S)
        return quotas, known

    def _quota(self, kind: str, subject: str, most: int, window_s: float | None = None) -> Quota:
        return Quota(f"auth:{kind}", subject, most, round((window_s or self._limit.window_s) * 1000))

    async def _take_turn(self, reason: str, subject: str, pace_s: float) -> None:
        if not await self._lines.turn(f"{reason}:{subject}", pace_s):
            self._refuse(reason, _IN_LINE * pace_s)

    def _refuse(self, reason: str, wait_s: float) -> None:
        self._metrics.auth_429.labels(reason=reason).inc()
        raise Refused(ApiError.TOO_MANY_REQUESTS, retry_after_s=wait_s, seconds=math.ceil(wait_s))


class _SubjectQueues:
    """Lets those of one subject go on one after the other."""

    def __init__(self) -> None:
        #: when the next may go on, of subjects for which that is not at once
        self._next_at: dict[str, float] = {}
        self._waiting: Counter[str] = Counter()

    async def turn(self, subject: str, pace_s: float) -> bool:
        """Waits for it; False, at once, if too many do."""
        if self._waiting[subject] >= _IN_LINE or self._waiting.total() >= _IN_LINES:
            return False
        now = trio.current_time()
        self._next_at = {other: at for other, at in self._next_at.items() if at > now}
        mine_at = max(now, self._next_at.get(subject, now))
        self._next_at[subject] = mine_at + pace_s
        self._waiting[subject] += 1
        try:
            await trio.sleep_until(mine_at)
        finally:
            self._waiting -= Counter([subject])  # drops what is 0
        return True
