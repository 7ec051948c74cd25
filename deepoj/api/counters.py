"""Rate limit counters that keep working without Redis.

While Redis answers, all nodes share their counts. While it does not, each node counts in its own memory, from zero and
up to the full limit. To stay fast then, one request every ``rest_s`` tries Redis again, for at most ``patience_s``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.ports.limits import Counters
from deepoj.words.errors import StreamUnavailable
from deepoj.words.limits import Overdrawn, Quota

#: subjects counted separately, per kind: about 2 MiB when full
MAX_SUBJECTS = 10_000
#: the subject shared by all others
_THE_OTHERS = "*"


@dataclass(slots=True)
class _Window:
    count: int
    ends_at: float


class LocalCounters:
    """``ports.Counters`` in the bounded memory of this process.

    Once a kind has ``MAX_SUBJECTS`` open windows, all other subjects share one window. So a client with very many
    addresses cannot evict its old windows to get new ones.
    """

    def __init__(self, max_subjects: int = MAX_SUBJECTS) -> None:
        self._max_subjects = max_subjects
        #: per kind, ordered by their end: all windows of a kind have the same length
        self._open: dict[str, OrderedDict[str, _Window]] = {}

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        now = trio.current_time()
        windows = [self._window(quota, now) for quota in quotas]
        worst: Overdrawn | None = None
        for quota, window in zip(quotas, windows, strict=True):
            wait_ms = max(1, round((window.ends_at - now) * 1000))
            if window.count >= quota.limit and (worst is None or wait_ms > worst.wait_ms):
                worst = Overdrawn(quota, wait_ms)
        if worst is None:
            for window in windows:
                window.count += 1
        return worst

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        return [self._wait_ms(quota, trio.current_time()) for quota in quotas]

    def _wait_ms(self, quota: Quota, now: float) -> int:
        there = self._open.get(quota.kind, OrderedDict())
        window = there.get(quota.subject) or there.get(_THE_OTHERS)
        if window is None or window.count < quota.limit:
            return 0
        return max(0, math.ceil((window.ends_at - now) * 1000))

    def _window(self, quota: Quota, now: float) -> _Window:
        there = self._open.setdefault(quota.kind, OrderedDict())
        while there and next(iter(there.values())).ends_at <= now:
            there.popitem(last=False)
        subject = quota.subject
        if subject not in there and len(there) >= self._max_subjects:
            subject = _THE_OTHERS
        if subject not in there:
            there[subject] = _Window(0, now + quota.window_ms / 1000)
        return there[subject]


class FallbackCounters:
    """``ports.Counters`` that fall back to local counters while the shared ones are unavailable."""

    def __init__(self, shared: Counters | None, *, patience_s: float = 0.5, rest_s: float = 3.0) -> None:
        self._shared = shared
        self._own = LocalCounters()
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._is_away = False
        self._ask_again_at = 0.0

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        return await self._asked(lambda counters: counters.take(quotas))

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        return await self._asked(lambda counters: counters.waits(quotas)) if quotas else ()

    async def _asked[T](self, question: Callable[[Counters], Awaitable[T]]) -> T:
        if self._shared is not None and self._may_ask():
            reason = "no answer in time"
            try:
                with trio.move_on_after(self._patience_s):
                    answer = await question(self._shared)
                    self._came_back()
                    return answer
            except StreamUnavailable as away:
                reason = str(away)
            self._went_away(reason)
        return await question(self._own)

    def _may_ask(self) -> bool:
        """Return whether to ask the shared counters. While they are unavailable, one request at a time tries them."""
        if not self._is_away:
            return True
        if trio.current_time() < self._ask_again_at:
            return False
        self._ask_again_at = trio.current_time() + self._rest_s
        return True

    def _went_away(self, reason: str) -> None:
        self._ask_again_at = trio.current_time() + self._rest_s
        if not self._is_away:
            self._is_away = True
            observe.log("rate_limit_local", level="warning", reason=reason)

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            observe.log("rate_limit_shared")
