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
from deepoj.api.redact import HiddenSteps, live_for, submission_for, test_for
from deepoj.ports.live import LiveResults
from deepoj.words.jobs import State
from deepoj.words.live import LiveTest
from deepoj.words.submissions import Submission

_PLACE = re.compile(r"([0-9]{1,9})-([0-9]{1,18})-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Place:
    """A client's position: the number of ``tests`` sent of an attempt."""

    judging: int
    attempt_id: int
    tests: int

    @classmethod
    def of(cls, last_event_id: str | None) -> Place | None:
        """Parse an event id; None if it is malformed."""
        match = _PLACE.fullmatch(last_event_id or "")
        return cls(*(int(number) for number in match.groups())) if match else None

    def __str__(self) -> str:
        return f"{self.judging}-{self.attempt_id}-{self.tests}"


class JobFeed:
    """The ``Feed`` of one job for one client."""

    def __init__(
        self,
        results: LiveResults,
        job_id: str,
        *,
        is_whole: bool,
        steps: HiddenSteps,
        last: Place | None,
        body: Callable[[Submission], Mapping[str, Any]],
        word: Callable[[State, str], str],
        waiting: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        """``body``: returns the ``/status`` body of a submission for this client; ``word``: returns its ``status``;
        ``waiting``: returns why no node can get a job that waits, if there is a reason."""
        self._results, self._job_id = results, job_id
        self._is_whole, self._steps, self._body, self._word = is_whole, steps, body, word
        self._waiting = waiting
        self._at = last or Place(0, 0, 0)
        #: tests of the current attempt whose progress reports were lost
        self._missed: set[int] = set()
        self._state: State | None = None
        self._reason: Mapping[str, Any] | None = None
        self._over = False

    @property
    def is_over(self) -> bool:
        return self._over

    async def events(self) -> Sequence[LiveEvent]:
        job = await self._results.live(self._job_id, self._at.attempt_id, self._at.tests)
        if job is not None and 0 < job.attempt_id == self._at.attempt_id and job.judging != self._at.judging:
            # an attempt belongs to exactly one judging: the client's id is forged
            self._at = Place(0, 0, 0)
            job = await self._results.live(self._job_id, 0, 0)
        if job is None:
            self._over = True  # the submission was deleted: a client that reconnects gets 404
            return ()
        job = live_for(job, is_whole=self._is_whole)
        if job.finished is not None:
            return list(self._finished(submission_for(job.finished, is_whole=self._is_whole)))
        events = list(self._state_change(job.state, job.status, job.judging, job.attempt_id))
        events += [self._test(test) for test in job.tests]
        return events

    def _state_change(self, state: State, status: str, judging: int, attempt_id: int) -> Iterator[LiveEvent]:
        """Yield the event ``state`` if the state, the attempt, or the reason for waiting has changed."""
        reason = self._waiting() if state is State.PENDING else None
        if (judging, attempt_id) != (self._at.judging, self._at.attempt_id):
            self._at = Place(judging, attempt_id, 0)
            self._missed.clear()
        elif (state, reason) == (self._state, self._reason):
            return
        self._state, self._reason = state, reason
        data = {"state": state, "status": self._word(state, status), **self._attempt()}
        yield self._event("state", data if reason is None else data | {"waiting": reason})

    def _test(self, test: LiveTest) -> LiveEvent:
        self._missed.update(range(self._at.tests + 1, test.index))
        self._missed.discard(test.index)
        self._at = Place(self._at.judging, self._at.attempt_id, max(test.index, self._at.tests))
        redacted = test_for(test.test, is_whole=self._is_whole, steps=self._steps)
        return self._event("test", {**self._attempt(), "index": test.index, "count": test.count, "test": redacted})

    def _finished(self, submission: Submission) -> Iterator[LiveEvent]:
        """Yield the missing tests and ``done``."""
        state_change = submission.state, submission.status, submission.judging, submission.attempt_id
        has_sent_nothing = self._state is None
        is_new_attempt = (submission.judging, submission.attempt_id) != (self._at.judging, self._at.attempt_id)
        if has_sent_nothing or is_new_attempt:
            yield from self._state_change(*state_change)
        if not has_sent_nothing:
            yield from map(self._test, self._unsent(submission))
        yield from self._state_change(*state_change)
        self._over = True
        yield self._event("done", self._body(submission))

    def _unsent(self, submission: Submission) -> list[LiveTest]:
        """Return the tests of the result that were not sent, in order."""
        tests = (submission.result or {}).get("tests") or ()
        return [
            LiveTest(index, len(tests), test)
            for index, test in enumerate(tests, 1)
            if index > self._at.tests or index in self._missed
        ]

    def _attempt(self) -> dict[str, Any]:
        return {"judging": self._at.judging, "attempt_id": self._at.attempt_id}

    def _event(self, name: str, data: Mapping[str, Any]) -> LiveEvent:
        return LiveEvent(name, str(self._at), data if name == "done" else {"job_id": self._job_id, **data})
