"""The event stream of a job: its state, each test as it ends, and finally the body of ``/status``.

The id of an event is ``<judging>-<attempt>-<n>``: n tests of that attempt have been sent. A client that reconnects with
an id gets the events after it if the attempt is still the current one, else all events from the start.

The tests of an attempt are sent in order. Progress reports may be lost, because they must never delay a verdict; the
missing tests are then sent from the result, before ``done``. A client that connects after the end gets only ``done``,
which contains all tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.api.live.events import LiveEvent
from deepoj.api.redact import HiddenSteps, test_for
from deepoj.ports.live import LiveResults
from deepoj.ports.submissions import Submissions
from deepoj.words.jobs import State
from deepoj.words.live import LiveTest
from deepoj.words.submissions import Submission

_PLACE = re.compile(r"([0-9]{1,9})-([0-9]{1,18})-([0-9]{1,9})")
_FINISHED = frozenset({State.DONE, State.DEAD})


@dataclass(frozen=True, slots=True)
class Place:
    """A client's position: the number of ``tests`` sent of an attempt."""

    judging: int
    attempt_id: int
    tests: int

    @classmethod
    def of(cls, last_event_id: str | None) -> Place | None:
        """Parse an event id; None if it is malformed."""
        found = _PLACE.fullmatch(last_event_id or "")
        return cls(*(int(number) for number in found.groups())) if found else None

    def __str__(self) -> str:
        return f"{self.judging}-{self.attempt_id}-{self.tests}"


class JobFeed:
    """The ``Feed`` of one job for one client."""

    def __init__(
        self,
        submissions: Submissions,
        results: LiveResults,
        job_id: str,
        *,
        is_admin: bool,
        steps: HiddenSteps,
        last: Place | None,
        body: Callable[[Submission], Mapping[str, Any]],
        word: Callable[[State, str], str],
    ) -> None:
        """``body``: makes the ``/status`` body of a submission for this client; ``word``: makes its ``status``."""
        self._submissions, self._results, self._job_id = submissions, results, job_id
        self._is_admin, self._steps, self._body, self._word = is_admin, steps, body, word
        self._at = last or Place(0, 0, 0)
        #: tests of the current attempt whose progress reports were lost
        self._missed: set[int] = set()
        self._state: State | None = None
        self._over = False

    @property
    def over(self) -> bool:
        return self._over

    async def news(self) -> Sequence[LiveEvent]:
        seen = await self._results.live(self._job_id, self._at.attempt_id, self._at.tests)
        if seen is not None and seen.attempt_id == self._at.attempt_id and seen.judging != self._at.judging:
            # an attempt belongs to exactly one judging: the client's id is forged
            self._at = Place(0, 0, 0)
            seen = await self._results.live(self._job_id, 0, 0)
        if seen is None:
            self._over = True  # the submission was deleted: a client that reconnects gets 404
            return ()
        if seen.state in _FINISHED:
            found = await self._submissions.submission(self._job_id)
            if found is None:
                self._over = True
                return ()
            return list(self._finished(found))
        events = list(self._stands(seen.state, seen.status, seen.judging, seen.attempt_id))
        events += [self._test(test) for test in seen.tests]
        return events

    def _stands(self, state: State, status: str, judging: int, attempt_id: int) -> Iterator[LiveEvent]:
        """What is new about where it stands."""
        if (judging, attempt_id) != (self._at.judging, self._at.attempt_id):
            self._at = Place(judging, attempt_id, 0)
            self._missed.clear()
        elif state is self._state:
            return
        self._state = state
        yield self._event("state", {"state": state, "status": self._word(state, status), **self._whose()})

    def _test(self, test: LiveTest) -> LiveEvent:
        self._missed.update(range(self._at.tests + 1, test.index))
        self._missed.discard(test.index)
        self._at = Place(self._at.judging, self._at.attempt_id, max(test.index, self._at.tests))
        shown = test_for(test.test, is_admin=self._is_admin, steps=self._steps)
        return self._event("test", {**self._whose(), "index": test.index, "count": test.count, "test": shown})

    def _finished(self, found: Submission) -> Iterator[LiveEvent]:
        """Yield the missing tests and ``done``. If the submission is being rejudged by now, the stream goes on."""
        came_late = self._state is None
        of_another = (found.judging, found.attempt_id) != (self._at.judging, self._at.attempt_id)
        if came_late or of_another or found.state not in _FINISHED:
            yield from self._stands(found.state, found.status, found.judging, found.attempt_id)
        if found.state not in _FINISHED:
            return
        if not came_late:
            yield from map(self._test, self._unshown(found))
        yield from self._stands(found.state, found.status, found.judging, found.attempt_id)
        self._over = True
        yield self._event("done", self._body(found))

    def _unshown(self, found: Submission) -> list[LiveTest]:
        tests = (found.result or {}).get("tests") or ()
        return [
            LiveTest(index, len(tests), test)
            for index, test in enumerate(tests, 1)
            if index > self._at.tests or index in self._missed
        ]

    def _whose(self) -> dict[str, Any]:
        return {"judging": self._at.judging, "attempt_id": self._at.attempt_id}

    def _event(self, name: str, data: Mapping[str, Any]) -> LiveEvent:
        return LiveEvent(name, str(self._at), data if name == "done" else {"job_id": self._job_id, **data})
