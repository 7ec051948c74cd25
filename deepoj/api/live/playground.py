"""What an event stream shows of a custom run: where it stands, and at last what ``GET /run/{run_id}`` says.

An event's id is ``1-<attempt>-<n>``, with n growing from state to state of that attempt. A client that comes again is
shown where the run stands now, unless that is what it has seen last.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepoj.api.live.events import LiveEvent
from deepoj.api.models import reply
from deepoj.api.playground_view import run_view, status_word
from deepoj.ports.playground import CustomRuns
from deepoj.words.jobs import State
from deepoj.words.playground import RUN_ID_PREFIX, CustomRun

_STEPS = {State.PROCESSING: 0, State.PENDING: 1, State.DONE: 2, State.DEAD: 2}
#: after its last state
_DONE = 3


def topic_of(run_id: str) -> str:
    """What is rung for a run: its row's id."""
    return run_id.removeprefix(RUN_ID_PREFIX)


class RunFeed:
    """``live.Feed`` of one run for its author. ``last``: the id of the last event that the client has seen."""

    def __init__(self, runs: CustomRuns, run_id: str, *, keep_s: float, last: str | None) -> None:
        self._runs, self._run_id, self._keep_s = runs, run_id, keep_s
        self._last = last
        self._over = False

    @property
    def over(self) -> bool:
        return self._over

    async def news(self) -> Sequence[LiveEvent]:
        run = await self._runs.custom_run(self._run_id, self._keep_s)
        if run is None:
            self._over = True  # its time is over: 404 to whoever asks again
            return ()
        events = []
        event_id = f"1-{run.attempt_id}-{_STEPS[run.state]}"
        if event_id != self._last:
            self._last = event_id
            events.append(LiveEvent("state", event_id, _state(run)))
        if run.state is State.DONE:
            self._over = True
            events.append(LiveEvent("done", f"1-{run.attempt_id}-{_DONE}", reply(run_view(run))))
        return events


def _state(run: CustomRun) -> dict[str, str]:
    return {"run_id": run.run_id, "state": run.state.value, "status": status_word(run)}
