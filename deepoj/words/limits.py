"""Rate limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``limit`` requests of one ``subject`` (an address, a user) in a window that begins with the first one."""

    #: what is counted, and per what: ``submit:ip``
    kind: str
    subject: str
    limit: int
    window_ms: int

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Overdrawn:
    """A quota that is used up; its window ends in ``wait_ms`` (1 at least)."""

    quota: Quota
    wait_ms: int
