"""W3C Trace Context, level 1.

The client's ``traceparent`` is read once per request. The answer has the same trace-id and a new parent-id, which is
the ``span_id`` in the request's log lines. Without a valid ``traceparent`` the answer has none either; the request's id
(``X-Request-ID``) then identifies the trace. Level 1 defines only the flag "sampled", so only this flag is passed on.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a request; ``span_id`` identifies this request in it."""

    trace_id: str
    span_id: str
    is_sampled: bool

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


def trace_of(sent: str | None) -> Trace | None:
    """Parse ``traceparent`` and add a new span; None if it is invalid. Versions after 00 may have further fields."""
    match = _TRACEPARENT.fullmatch((sent or "").strip(" \t"))
    if match is None or (match[1] == "00" and match[4] is not None):
        return None
    span_id = f"{secrets.randbits(64) or 1:016x}"
    return Trace(match[2], span_id, bool(int(match[3], 16) & _SAMPLED))
