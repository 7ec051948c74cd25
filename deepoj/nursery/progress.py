"""The loop that tells what judging comes to: at once when nothing was told lately, else what a window has brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.pipeline.progress import ProgressBuffer, tell
from deepoj.ports import LiveResults
from deepoj.words import StoreUnavailable

#: between two statements
WINDOW_S = 0.1
#: what telling the last verdicts of a node may take
LAST_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TellProgress:
    """A child of the tree; restarted after StoreUnavailable it goes on with what it had."""

    live: LiveResults
    progress: ProgressBuffer
    metrics: observe.Metrics
    window_s: float = WINDOW_S

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        try:
            while True:
                await self.progress.wait()
                await tell(self.live, self.progress, self.metrics)
                await trio.sleep(self.window_s)
        except trio.Cancelled:
            with trio.move_on_after(LAST_S, shield=True):
                await self._last()
            raise

    async def _last(self) -> None:
        try:
            await tell(self.live, self.progress, self.metrics)
        except StoreUnavailable as away:
            observe.log("live_untold", level="warning", reason=str(away))  # whoever watches looks by himself
