"""The two kinds of time in the Contest API: ``TIME`` with a zone, and ``RELTIME``, a duration."""

from __future__ import annotations

import re
from datetime import datetime

MS_PER_MINUTE = 60_000
_RELTIME = re.compile(r"(-)?(\d+):([0-5]\d):([0-5]\d)(?:\.(\d+))?", re.ASCII)


def parse_reltime(text: str) -> int:
    """Return the milliseconds of ``(-)?(h)*h:mm:ss(.uuu)?``. Further decimals are cut off.

    Raises ValueError.
    """
    found = _RELTIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time like 1:02:03.004")
    sign, hours, minutes, seconds, decimals = found.groups()
    ms = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int((decimals or "0").ljust(3, "0")[:3])
    return -ms if sign else ms


def reltime(ms: int) -> str:
    """Return milliseconds as ``(-)h:mm:ss.uuu``."""
    seconds, rest_ms = divmod(abs(ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if ms < 0 else ''}{hours}:{minutes:02}:{seconds:02}.{rest_ms:03}"


def parse_time(text: str) -> int:
    """Return the milliseconds since 1970 of an ISO 8601 time with a zone.

    Raises ValueError.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(f"{text!r} is no time like 2026-01-31T09:00:00.000+01:00")
    return round(time.timestamp() * 1000)


def minutes_of(ms: int) -> int:
    """Return the whole minutes: ICPC rules drop the seconds of a solution's time."""
    return ms // MS_PER_MINUTE
