"""Conditions that must hold before the children start: dependencies answer, the schema is there.

A dependency that is only late (everything starts at once after a power cut) is waited for, within a budget and with a
log line. A dependency that refuses us (a wrong password, a missing database) ends the start: waiting does not help.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.words.errors import BlobsRefused, Breakage, StartRefused, StoreRefused, StreamRefused

UNREACHABLE = 3
POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Wait until ``ping`` succeeds.

    Raises:
      StartRefused: with exit code 3, if the dependency refuses us or does not answer within ``within_s``.
    """

    part: str
    ping: Callable[[], Awaitable[None]]
    within_s: float
    try_s: float = 5.0

    async def __call__(self) -> None:
        deadline = trio.current_time() + self.within_s
        logged = ""
        while True:
            try:
                with trio.fail_after(self.try_s):
                    await self.ping()
                    return
            except (StoreRefused, StreamRefused, BlobsRefused) as refusal:
                raise StartRefused(str(refusal), UNREACHABLE) from refusal
            except Breakage as breakage:
                why = str(breakage)
            except trio.TooSlowError:
                why = f"{self.part} did not answer within {self.try_s:g} s"
            if trio.current_time() >= deadline:
                raise StartRefused(f"{why} (waited {self.within_s:g} s)", UNREACHABLE)
            if why != logged:
                observe.log("waiting_for", level="warning", part=self.part, reason=why)
                logged = why
            await trio.sleep(POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Wait until the database has the schema version that this program needs; another process migrates it.

    Raises:
      StartRefused: with exit code 3, if the schema is not there within ``within_s``.
    """

    present: Callable[[], Awaitable[int]]
    needed: int
    within_s: float

    async def __call__(self) -> None:
        deadline = trio.current_time() + self.within_s
        is_logged = False
        while (version := await self.present()) < self.needed:
            if trio.current_time() >= deadline:
                raise StartRefused(
                    f"the database's schema is at version {version}, this program needs {self.needed}:"
                    " run `deepoj migrate`, or start a node with MIGRATE_ON_START=true",
                    UNREACHABLE,
                )
            if not is_logged:
                observe.log("waiting_for", level="warning", part="schema", migration=f"{version} of {self.needed}")
                is_logged = True
            await trio.sleep(POLL_S)
