"""What operators look at."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.system import Interruption, LastHour, PipelineTimes, RunningJob, Standing


class SystemView(Protocol):
    """Reads what is in progress and what happened of late, at a cost that no table's size changes. Raises
    StoreUnavailable. Implemented by ``adapters.pg.system``."""

    async def running_jobs(self, limit: int) -> list[RunningJob]:
        """Return the submissions in processing, oldest first."""
        ...

    async def last_hour(self) -> LastHour: ...

    async def pipeline_times(self) -> PipelineTimes:
        """Return when an event was last sent to the stream, and when a node last claimed a submission."""
        ...

    async def standing(self) -> Standing: ...

    async def interruptions(self, limit: int) -> list[Interruption]:
        """Return the latest events by which submissions were put back, newest first."""
        ...
