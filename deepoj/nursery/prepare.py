"""What must be so before the children start: dependencies answer, the schema is there.

A dependency that is merely late (everything starts at once after a power cut) is waited for, within a budget and saying
so; one that refuses us (a wrong password, a missing database) will not get better by waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.words import BlobsRefused, Breakage, StartRefused, StoreRefused, StreamRefused

UNREACHABLE = 3
POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Waits until ``ping`` goes through.

    Raises:
      StartRefused: with exit code 3, when it refuses us, or does not answer within ``within_s``.
    """

    part: str
    ping: Callable[[], Awaitable[None]]
    within_s: float
    try_s: float = 5.0

    async def __call__(self) -> None:
        deadline = trio.current_time() + self.within_s
        said = ""
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
            if why != said:
                observe.log("waiting_for", level="warning", part=self.part, reason=why)
                said = why
            await trio.sleep(POLL_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Waits until the database has the schema this program needs; somebody else brings it there.

    Raises:
      StartRefused: with exit code 3, when it is not there within ``within_s``.
    """

    present: Callable[[], Awaitable[int]]
    needed: int
    within_s: float

    async def __call__(self) -> None:
        deadline = trio.current_time() + self.within_s
        told = False
        while (version := await self.present()) < self.needed:
            if trio.current_time() >= deadline:
                raise StartRefused(
                    f"the database's schema is at version {version}, this program needs {self.needed}:"
                    " run `deepoj migrate`, or start a node with MIGRATE_ON_START=true",
                    UNREACHABLE,
                )
            if not told:
                observe.log("waiting_for", level="warning", part="schema", migration=f"{version} of {self.needed}")
                told = True
            await trio.sleep(POLL_S)
