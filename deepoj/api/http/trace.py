"""W3C Trace Context, level 1: the caller's ``traceparent`` is read once a request, and answered with the same trace-id
and a parent-id of our own, which stands as ``span_id`` in the log line of what the request did.

Without a valid one no ``traceparent`` is answered: the trace is called by the request's id then (``X-Request-ID``).
Of the flags only "sampled" is known at this level, and only that one is handed on.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace a request belongs to; ``span_id`` is this request's place in it."""

    trace_id: str
    span_id: str
    is_sampled: bool

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


def trace_of(sent: str | None) -> Trace | None:
    """The trace of a valid ``traceparent``, with a new span. A version after 00 may carry more behind its flags."""
    found = _TRACEPARENT.fullmatch((sent or "").strip(" \t"))
    if found is None or (found[1] == "00" and found[4] is not None):
        return None
    span_id = f"{secrets.randbits(64) or 1:016x}"
    return Trace(found[2], span_id, bool(int(found[3], 16) & _SAMPLED))
