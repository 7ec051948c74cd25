"""The event stream of a custom run: its state, and finally the body of ``GET /run/{run_id}``.

The id of an event is ``1-<attempt>-<n>``; n grows with each state of the attempt. A client that reconnects gets the
current state, unless it is the one it has seen last.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepoj.api.live.events import LiveEvent
from deepoj.api.models.base import reply
from deepoj.api.playground_view import run_view, status_word
from deepoj.ports.playground import CustomRuns
from deepoj.words.jobs import State
from deepoj.words.playground import RUN_ID_PREFIX, CustomRun

_STEPS = {State.PROCESSING: 0, State.PENDING: 1, State.DONE: 2, State.DEAD: 2}
#: n of the event ``done``
_DONE = 3


def topic_of(run_id: str) -> str:
    """Return the notification topic of a run: the id of its row."""
    return run_id.removeprefix(RUN_ID_PREFIX)


class RunFeed:
    """The ``Feed`` of one run for its author. ``last``: the id of the last event that the client has received."""

    def __init__(self, runs: CustomRuns, run_id: str, *, keep_s: float, last: str | None) -> None:
        self._runs, self._run_id, self._keep_s = runs, run_id, keep_s
        self._last = last
        self._over = False

    @property
    def is_over(self) -> bool:
        return self._over

    async def events(self) -> Sequence[LiveEvent]:
        run = await self._runs.custom_run(self._run_id, self._keep_s)
        if run is None:
            self._over = True  # the run has expired: a client that reconnects gets 404
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
