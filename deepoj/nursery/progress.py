"""The loop that publishes the progress of judging: the end of a job at once; anything else soon after a quiet time, or
once per window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.pipeline.progress import ProgressBuffer, tell
from deepoj.ports.live import LiveResults
from deepoj.words.errors import StoreUnavailable

#: Time between two statements, unless a job ends: its verdict came 50 to 100 ms late otherwise, because the claim of a
#: short job had begun a window.
WINDOW_S = 0.1
#: Pause before the first statement after a quiet time, unless a job ends. Right after a claim, its statement and the
#: reads of the watchers that it wakes would share the interpreter with the preparation of the job: in a trace of an
#: idle node, each took 4 ms, at the same time.
FIRST_S = 0.02
#: how long publishing the last verdicts of a stopping node may take
LAST_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TellProgress:
    """A child of the tree. Restarted after StoreUnavailable, it goes on with what is in the buffer."""

    live: LiveResults
    progress: ProgressBuffer
    metrics: observe.Metrics
    window_s: float = WINDOW_S
    first_s: float = FIRST_S

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        try:
            while True:
                await self.progress.wait()
                with trio.move_on_after(self.first_s):
                    await self.progress.wait_over()
                await tell(self.live, self.progress, self.metrics)
                with trio.move_on_after(self.window_s - self.first_s):
                    await self.progress.wait_over()
        except trio.Cancelled:
            with trio.move_on_after(LAST_S, shield=True):
                await self._last()
            raise

    async def _last(self) -> None:
        try:
            await tell(self.live, self.progress, self.metrics)
        except StoreUnavailable as away:
            observe.log("live_untold", level="warning", reason=str(away))  # watchers poll, too
