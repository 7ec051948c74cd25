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
#: subject of the window that all further subjects share
_SHARED_SUBJECT = "*"


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

    async def give_back(self, quotas: Sequence[Quota]) -> None:
        for quota in quotas:
            window = self._open_window(quota)
            if window is not None and window.count > 0:
                window.count -= 1

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        return [self._wait_ms(quota, trio.current_time()) for quota in quotas]

    def _wait_ms(self, quota: Quota, now: float) -> int:
        window = self._open_window(quota)
        if window is None or window.count < quota.limit:
            return 0
        return max(0, math.ceil((window.ends_at - now) * 1000))

    def _open_window(self, quota: Quota) -> _Window | None:
        windows = self._open.get(quota.kind, OrderedDict())
        return windows.get(quota.subject) or windows.get(_SHARED_SUBJECT)

    def _window(self, quota: Quota, now: float) -> _Window:
        windows = self._open.setdefault(quota.kind, OrderedDict())
        while windows and next(iter(windows.values())).ends_at <= now:
            windows.popitem(last=False)
        subject = quota.subject
        if subject not in windows and len(windows) >= self._max_subjects:
            subject = _SHARED_SUBJECT
        if subject not in windows:
            windows[subject] = _Window(0, now + quota.window_ms / 1000)
        return windows[subject]


class FallbackCounters:
    """``ports.Counters`` that fall back to local counters while the shared ones are unavailable."""

    def __init__(self, shared: Counters | None, *, patience_s: float = 0.5, rest_s: float = 3.0) -> None:
        self._shared = shared
        self._own = LocalCounters()
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._is_down = False
        self._retry_at = 0.0

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        return await self._call(lambda counters: counters.take(quotas))

    async def give_back(self, quotas: Sequence[Quota]) -> None:
        await self._call(lambda counters: counters.give_back(quotas))

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        return await self._call(lambda counters: counters.waits(quotas)) if quotas else ()

    async def _call[T](self, function: Callable[[Counters], Awaitable[T]]) -> T:
        """Call the function with the shared counters, or with the local ones if those do not answer."""
        if self._shared is not None and self._may_use_shared():
            reason = "no answer in time"
            try:
                with trio.move_on_after(self._patience_s):
                    answer = await function(self._shared)
                    self._note_up()
                    return answer
            except StreamUnavailable as error:
                reason = str(error)
            self._note_down(reason)
        return await function(self._own)

    def _may_use_shared(self) -> bool:
        """Return whether to use the shared counters. While they are unavailable, one request at a time tries them."""
        if not self._is_down:
            return True
        if trio.current_time() < self._retry_at:
            return False
        self._retry_at = trio.current_time() + self._rest_s
        return True

    def _note_down(self, reason: str) -> None:
        self._retry_at = trio.current_time() + self._rest_s
        if not self._is_down:
            self._is_down = True
            observe.log("rate_limit_local", level="warning", reason=reason)

    def _note_up(self) -> None:
        if self._is_down:
            self._is_down = False
            observe.log("rate_limit_shared")
