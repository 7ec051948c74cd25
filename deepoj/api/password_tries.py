"""Limits password attempts: guessing stays slow, and an attacker cannot lock the owner out.

Only failures are counted: per account, per address, and per pair of both. An owner with the right password and an
address of his own is never affected by failures of others:

* After ``_OF_BOTH`` failures of a pair in a window, its attempts are processed one by one, ``_BOTH_PACE_S`` apart. So
  the owner still gets in while others guess from the same address.
* After an account's limit of failures from all addresses, it accepts attempts only from addresses with fewer than
  ``_FIRST`` failures at it within the hour, or with a success within ``_KNOWN_WINDOW_S``. So failures from the owner's
  address do not help attackers elsewhere to lock the owner out.
* After an address's limit of failures at all accounts, it may try once per ``_ADDRESS_PACE_S``. An attempt is counted
  right before its hash, and a right password is counted off: of 400 at once, 328 were hashed before their failures were
  counted. Those that wait for their hash when the limit is reached are refused.

So one address can make at most 70 guesses a minute at a password. All addresses together can make as many as the
account's limit, and three an hour each. Attempts beyond the length of a queue are answered 429.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
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
#: maximum number of waiting attempts, per subject and in total
_QUEUE_MAX, _QUEUES_MAX = 8, 64
#: errors that do not mean a wrong password
_NO_FAILURES = frozenset({ApiError.TOO_MANY_REQUESTS, ApiError.TOO_MANY_LOGINS, ApiError.ACCOUNT_DISABLED})
_WRONG = frozenset({ApiError.BAD_CREDENTIALS, ApiError.WRONG_OLD_PASSWORD})


class PasswordTry:
    """One request with a password to check."""

    def __init__(self, tries: PasswordTries, address: str, of_address: Sequence[Quota], *, is_paced: bool) -> None:
        self._tries, self._address, self._is_paced = tries, address, is_paced
        self._of_address = of_address
        #: it is counted at its address
        self.is_counted = False
        #: quotas that a failure counts against, and quotas that a success marks
        self.of_account: list[Quota] = []
        self.known: list[Quota] = []

    async def begin(self, account: str) -> None:
        """Wait until the password of ``account`` may be checked. Refused (429) if that takes too long."""
        self.of_account, self.known = await self._tries.begin(account, self._address)

    async def count(self) -> None:
        """Count the attempt at its address, right before its hash. Refused (429) if the limit is reached."""
        self.is_counted = await self._tries.count(self._of_address, is_paced=self._is_paced)


class PasswordTries:
    """Limits the password attempts of all clients. A limit of 0 disables its check."""

    def __init__(self, counters: Counters, limit: RateLimit, metrics: Metrics) -> None:
        self._counters, self._limit, self._metrics = counters, limit, metrics
        self._queues = _SubjectQueues()

    @asynccontextmanager
    async def one(self, address: str) -> AsyncIterator[PasswordTry]:
        """Context of the whole request.

        A refusal inside counts as a failure of ``address``; if the password was wrong, also of the account.
        """
        of_address = [self._quota("ip", address, self._limit.ip_limit)] if self._limit.ip_limit else []
        is_paced = any(await self._counters.waits(of_address))
        if is_paced:
            await self._take_turn("address", address, _ADDRESS_PACE_S)
        attempt = PasswordTry(self, address, of_address, is_paced=is_paced)
        try:
            yield attempt
        except Refused as refused:
            if refused.api_error in _NO_FAILURES:
                await self._count_off(attempt, of_address)
            else:
                uncounted = () if attempt.is_counted else of_address
                for quota in (*uncounted, *(attempt.of_account if refused.api_error in _WRONG else ())):
                    await self._counters.take([quota])  # one by one: an exhausted quota must not stop the others
            raise
        await self._count_off(attempt, of_address)
        if attempt.known:
            await self._counters.take(attempt.known)

    async def count(self, of_address: Sequence[Quota], *, is_paced: bool) -> bool:
        """See ``PasswordTry.count``. Returns whether it is counted: one that was paced goes on beyond the limit."""
        overdrawn = await self._counters.take(of_address) if of_address else None
        if overdrawn is not None and not is_paced:
            self._refuse("address", _QUEUE_MAX * _ADDRESS_PACE_S)
        return bool(of_address) and overdrawn is None

    async def begin(self, account: str, address: str) -> tuple[list[Quota], list[Quota]]:
        """See ``PasswordTry.begin``. Returns the quotas for a failure and those for a success."""
        limit = self._limit.user_limit
        if not limit:
            return [], []
        both = f"{account}:{address}"
        quotas = [
            self._quota("user", account, limit),
            self._quota("first", both, min(_FIRST, limit), _FIRST_WINDOW_S),
            self._quota("both", both, min(_OF_BOTH, limit)),
        ]
        known = [self._quota("known", both, 1, _KNOWN_WINDOW_S)]
        account_ms, first_ms, both_ms, known_ms = await self._counters.waits([*quotas, *known])
        if account_ms and first_ms and not known_ms:
            self._refuse("account", min(account_ms, first_ms) / 1000)
        if both_ms:
            await self._take_turn("both", both, _BOTH_PACE_S)
        return quotas, known

    async def _count_off(self, attempt: PasswordTry, of_address: Sequence[Quota]) -> None:
        if attempt.is_counted:
            await self._counters.give_back(of_address)

    def _quota(self, kind: str, subject: str, limit: int, window_s: float | None = None) -> Quota:
        return Quota(f"auth:{kind}", subject, limit, round((window_s or self._limit.window_s) * 1000))

    async def _take_turn(self, reason: str, subject: str, pace_s: float) -> None:
        if not await self._queues.turn(f"{reason}:{subject}", pace_s):
            self._refuse(reason, _QUEUE_MAX * pace_s)

    def _refuse(self, reason: str, wait_s: float) -> None:
        self._metrics.auth_429.labels(reason=reason).inc()
        raise Refused(ApiError.TOO_MANY_REQUESTS, retry_after_s=wait_s, seconds=math.ceil(wait_s))


class _SubjectQueues:
    """Queues that let the attempts of one subject continue one after the other, at a pace."""

    def __init__(self) -> None:
        #: subject → time of its next free turn, if that is in the future
        self._next_at: dict[str, float] = {}
        self._waiting: Counter[str] = Counter()

    async def turn(self, subject: str, pace_s: float) -> bool:
        """Wait for the subject's next turn. Returns False at once if too many are waiting."""
        if self._waiting[subject] >= _QUEUE_MAX or self._waiting.total() >= _QUEUES_MAX:
            return False
        now = trio.current_time()
        self._next_at = {other: at for other, at in self._next_at.items() if at > now}
        turn_at = max(now, self._next_at.get(subject, now))
        self._next_at[subject] = turn_at + pace_s
        self._waiting[subject] += 1
        try:
            await trio.sleep_until(turn_at)
        finally:
            self._waiting -= Counter([subject])  # the subtraction drops zero counts
        return True
