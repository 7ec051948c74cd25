"""Repeated complaints in the log: the first is written, the others are counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from deepoj.observe.fields import EventDict

#: fields whose equal values make two lines the same complaint, even if job or request differ
_SAME = ("event", "reason", "child", "part", "case", "path", "logger", "text")
#: maximum number of complaints counted at a time; beyond, the oldest is written
_COMPLAINTS_MAX = 256


type Clock = Callable[[], float]


@dataclass(slots=True)
class _Repeated:
    """One complaint: the end of its window, the number of its lines since the last written one, and the latest line."""

    until: float
    count: int = 0
    line: EventDict | None = None


class Throttle:
    """Writes the first of repeated complaints (lines of level warning or worse), then one line per ``window_s`` seconds
    whose ``count`` is the number of lines it replaces. A loop that fails five times a second while Redis is away writes
    two lines, then six a minute.

    Two lines are the same complaint if event, reason and part are equal; job and request may differ, and the written
    line names the latest. The ``count`` of a line that has one is added. A count without a following complaint is
    written with the next line of any kind after the window, and by :meth:`flush`. A window of 0 switches it off. Any
    thread may log.

    Args:
      window_s: seconds.
      emit: writes a finished line, bypassing the throttle.
      clock: monotonic seconds.
    """

    def __init__(self, window_s: float, emit: Callable[[EventDict], None], clock: Clock = time.monotonic) -> None:
        self._window_s, self._emit, self._clock = window_s, emit, clock
        self._complaints: dict[tuple[str, ...], _Repeated] = {}
        self._lock = threading.Lock()

    def __call__(self, fields: EventDict) -> EventDict | None:
        """Return the line to write, or None if it is only counted."""
        often = fields.pop("often", False)
        if self._window_s <= 0:
            return fields
        now = self._clock()
        complains = often or fields["level"] not in {"debug", "info"}
        with self._lock:
            written = self._line_to_write(fields, now) if complains else fields
            due = self._due_lines(now)
        for line in due:
            self._emit(line)
        return written

    def flush(self) -> None:
        """Write every count that is not written yet, because the process ends."""
        with self._lock:
            left = [repeated.line for repeated in self._complaints.values() if repeated.line is not None]
            self._complaints.clear()
        for line in left:
            self._emit(line)

    def _line_to_write(self, fields: EventDict, now: float) -> EventDict | None:
        """Return the line to write, or None if it is only counted."""
        key = (_kind(fields.get("exc_info")), *(str(fields.get(name, "")) for name in _SAME))
        own = fields.get("count", 1)
        repeated = self._complaints.get(key)
        if repeated is None or (repeated.until <= now and repeated.line is None):
            self._begin_window(key, now)
            return fields
        repeated.count += own if isinstance(own, int) else 1
        # a traceback holds frames, and with them users' data
        repeated.line = {name: value for name, value in fields.items() if name != "exc_info"} | {
            "count": repeated.count
        }
        if repeated.until > now:
            return None
        self._begin_window(key, now)
        return {**fields, "count": repeated.count}

    def _begin_window(self, key: tuple[str, ...], now: float) -> None:
        """Begin a window. The dict stays sorted by age: the oldest window is first."""
        self._complaints.pop(key, None)
        self._complaints[key] = _Repeated(now + self._window_s)

    def _due_lines(self, now: float) -> list[EventDict]:
        """Return the lines of counts whose window has ended, and of the oldest ones if there are too many. Continuing
        complaints get a new window."""
        ended = [(key, repeated) for key, repeated in self._complaints.items() if repeated.until <= now]
        for key, repeated in ended:
            if repeated.line is None:
                del self._complaints[key]
            else:
                self._begin_window(key, now)
        oldest = list(self._complaints)[: max(0, len(self._complaints) - _COMPLAINTS_MAX)]
        due = [repeated for _, repeated in ended] + [self._complaints.pop(key) for key in oldest]
        return [repeated.line for repeated in due if repeated.line is not None]


def _kind(exc_info: tuple[type[BaseException], BaseException, object] | None) -> str:
    """Return the class name of a line's exception."""
    return exc_info[0].__name__ if exc_info is not None else ""
